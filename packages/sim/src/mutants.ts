/**
 * Bugs to plant, one at a time, into a build of the engine: each an exact piece of source and what stands there instead.
 * They are the mistakes that databases of this kind are known for; the simulation has to notice every one of them.
 */
export interface Edit {
  /** Below packages/tidemark/src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** The rule that it breaks. */
  readonly rule: string;
  /** Of the world that notices: found anew by `npm run sim -- --mutants` when worlds become others. */
  readonly seed: number;
  /** Where two safeguards stand behind one another, the second. */
  readonly also?: Edit;
}

export const mutants: readonly Mutant[] = [
  {
    name: "reclaims below what supersedes it, though that lies above the floor",
    rule: "VG1",
    seed: 1,
    file: "segments/rule.ts",
    find: "else if (successor.seq > reach) kept.push",
    replace: "else if (version.seq >= reach) kept.push",
  },
  {
    name: "reclaims what a snapshot sees",
    rule: "VG8",
    seed: 20,
    file: "segments/rule.ts",
    find: "else if (sees(rule.points, version.seq, successor.seq)) kept.push",
    replace: "else if (false) kept.push",
  },
  {
    name: "drops a tombstone although older versions may be elsewhere",
    rule: "VG2",
    seed: 190,
    file: "segments/rule.ts",
    find: `if (older !== "none") return [{ version, wake: seq(0) }];`,
    replace: "",
  },
  {
    name: "forgets retention",
    rule: "GM4",
    seed: 1,
    file: "segments/rule.ts",
    find: "else if (retained) kept.push",
    replace: "else if (false) kept.push",
  },
  {
    name: "raises a tab's pin past its open views",
    rule: "VG3",
    seed: 22,
    file: "collections/database.ts",
    find: "raisePin(storage, tab, this.handles.oldest(), fence)",
    replace: "raisePin(storage, tab, this.store.head.seq, fence)",
  },
  {
    name: "acknowledges before storage says that it is done",
    rule: "MV4",
    seed: 186,
    file: "mvcc/committer.ts",
    find: `return members.some((m) => m.request.durability === "strict") ? "strict" : "relaxed";`,
    replace: `return "relaxed";`,
  },
  {
    name: "takes an entry below the fence for appended",
    rule: "TB7",
    seed: 69,
    file: "wal/log.ts",
    find: "if (fence && sameLog(fence, known) && fence.seq < at) return",
    replace: "if (fence && sameLog(fence, known)) return",
  },
  {
    name: "validates keys and not ranges",
    rule: "MV3",
    seed: 4,
    file: "mvcc/read-set.ts",
    find: "for (const r of this.#ranges) if (contains(r, key)) return true;",
    replace: "",
  },
  {
    name: "validates by the new index keys alone",
    rule: "MV3",
    seed: 8,
    file: "mvcc/apply.ts",
    find: "if (isFirstEnd) ledger?.supersede(unknownSeq, at, versionBytes(entry, presence), tableOf(entry));\n      touched.push(entry);",
    replace: "if (isFirstEnd) ledger?.supersede(unknownSeq, at, versionBytes(entry, presence), tableOf(entry));",
  },
  {
    name: "judges members of a group without those before them",
    rule: "MV3",
    seed: 6,
    file: "mvcc/judge.ts",
    find: "(group.touched.some((touched) => keys.meets(touched)) ? this.#store.tab : undefined)",
    replace: "undefined",
  },
  {
    name: "lets snapshot transactions overwrite one another",
    rule: "MV3",
    seed: 20,
    file: "mvcc/judge.ts",
    find: `return isStale ? conflict("a key it writes`,
    replace: `return false ? conflict("a key it writes`,
  },
  {
    name: "looks for the owner of a unique key in memory only",
    rule: "MV3",
    seed: 19,
    file: "mvcc/judge.ts",
    find: "const candidates = new Set(this.#base?.owners.get(prefix));",
    replace: "const candidates = new Set<ByteKey>();",
  },
  {
    name: "takes in broadcast entries that do not continue its own",
    rule: "TB3",
    seed: 73,
    file: "mvcc/store.ts",
    find: "if (entry.firstSeq !== this.#head.seq + 1 || entry.previous !== this.#head.checksum) return false;",
    replace: "",
  },
  {
    name: "does not look at the log where a message may be lost",
    rule: "TB3",
    seed: 92,
    file: "host/host.ts",
    find: "const lookMs = 2000;",
    replace: "const lookMs = 1e9;",
  },
  {
    name: "does upkeep on without asking whether it still may",
    rule: "TB2",
    seed: 692,
    file: "gc/tenure.ts",
    find: "this.#deposed = upkeepIn(row).epoch !== this.epoch;",
    replace: "this.#deposed = false;",
    also: {
      file: "gc/publish.ts",
      find: "if (!present || !sameLog(present, before.fence) || present.seq !== before.fence.seq) return undefined;\n    if (version !== before.manifest.version) return undefined;",
      replace: "if (!present) return undefined;",
    },
  },
  {
    name: "waits for a frozen upkeep tab for ever",
    rule: "TB2",
    seed: 71,
    file: "host/upkeep.ts",
    find: "await this.#stand(true);\n  }\n\n  /** A run that",
    replace: "}\n\n  /** A run that",
  },
  {
    name: "reads for an evicted view as if it were held",
    rule: "TB5",
    seed: 76,
    file: "mvcc/read-guard.ts",
    find: "if (hold ? hold.isGone : store.floor.seq > at) refuse();",
    replace: "",
  },
  {
    name: "trims the log under a consumer",
    rule: "OL1",
    seed: 7,
    file: "gc/kept-log.ts",
    find: "return neededBy(consumerRows) < to ? [putKept({ from: before, to: before, sizeBytes: 0 })] : trim;",
    replace: "return trim;",
  },
  {
    name: "sends a commit again whose outcome it does not know",
    rule: "MV9",
    seed: 183,
    file: "mvcc/committer.ts",
    find: "if (unsure) tell(unsure.member, { ...unsure.done, seq: commit.seq, stamp: commit.stamp });",
    replace: "",
  },
  {
    name: "goes on reading the head after a migration",
    rule: "MV10",
    seed: 5,
    file: "collections/retired.ts",
    find: "if (this.#reads || migrated <= this.version) return;",
    replace: "if (migrated >= 0) return;",
  },
  {
    name: "wakes live queries by keys and not by ranges",
    rule: "TB3",
    seed: 1,
    file: "mvcc/read-set.ts",
    find: "if (this.#ranges.some((r) => touched.anyIn(r))) return true;",
    replace: "",
  },
  // Those below were no plants: the simulation found them.
  {
    name: "keeps the lock of upkeep without noticing that it was deposed",
    rule: "TB2",
    seed: 451,
    file: "host/upkeep.ts",
    find: "if (tenure.isDeposed) this.#stepDown(tenure);",
    replace: "",
    also: { file: "host/tending.ts", find: "if (tenure.isDeposed) return this.#seams.deposed(tenure);", replace: "" },
  },
  {
    name: "does not close after an index build met a full disk",
    rule: "MV9",
    seed: 254,
    file: "host/building.ts",
    find: "await this.#working?.catch(() => undefined);",
    replace: "await this.#working;",
  },
  {
    name: "does not hear of an abort while a feed opens",
    rule: "TB1",
    seed: 176,
    file: "client/changes.ts",
    find: "this.#signal.throwIfAborted(); // nobody listened until now",
    replace: "",
  },
];
