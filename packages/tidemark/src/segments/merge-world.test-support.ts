/** A database of blocks in levels under random merges, beside the trivially correct model; checks what each did. */
import { expect } from "vitest";
import { type BlockId, type ByteKey, byteKey, type Seq, seq, stamp, type TableId } from "../base/brand.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { BlockInfo } from "./block-info.ts";
import { type ChangeSource, noChanges } from "./changes.ts";
import { hashOf, mayHold } from "./filter.ts";
import { compareInternal } from "./internal-key.ts";
import { type Compaction, foldLevel, type LevelOptions } from "./levels.ts";
import { levelCount, type Manifest, type ManifestEdit } from "./manifest.ts";
import type { Merged } from "./merge.ts";
import { type Counted, Disk, ListedChanges, referring } from "./segments.test-support.ts";
import type { KeyVersions, Version } from "./version.ts";

type Chains = Map<ByteKey, Version[]>;

export interface Write {
  readonly key: string;
  /** Absent: a delete. */
  readonly payloadBytes: number | undefined;
  /** The value lies out of line: a new one, or the one that the version before refers to, if it does. */
  readonly outside?: "new" | "same" | undefined;
}

/** A merge as the world describes it: what is new, and where it goes. */
interface Job {
  readonly level: number;
  readonly changes: ChangeSource & { readonly list?: readonly KeyVersions[] };
  readonly above: readonly BlockInfo[];
  readonly staysAbove?: Seq | undefined;
  readonly edits: (merged: Merged) => readonly ManifestEdit[];
}

interface Entry {
  readonly key: ByteKey;
  readonly version: Version;
}

function grouped(list: readonly Entry[]): Chains {
  const chains: Chains = new Map();
  for (const { key, version } of list) chains.set(key, [...(chains.get(key) ?? []), version]);
  return chains;
}

const crash = new Error("the tab dies");

export class MergeWorld {
  readonly #disk = new Disk();
  /** All versions ever, newest first per key. */
  readonly model: Chains = new Map();
  /** What no block holds yet. */
  #memory: Chains = new Map();
  readonly dead = new Set<TableId>();
  /** Ids of values out of line that are gone. */
  readonly #lost = new Set<number>();
  head = 0;
  floor = 0;
  /** What snapshots read at, whatever the floor. */
  readonly points = new Set<number>();
  sizes = { targetBytes: 300, maxStoreBytes: 1000 };

  get manifest(): Manifest {
    return this.#disk.manifest;
  }
  bytesOf(id: BlockId): Uint8Array {
    return this.#disk.stored.get(id)!.bytes;
  }
  isDead(key: ByteKey): boolean {
    return this.dead.has(tableOf(key));
  }

  /** Commits the writes, one seq each. */
  commit(writes: readonly Write[]): void {
    for (const { key: k, payloadBytes, outside } of writes) {
      const key = byteKey(k);
      if (this.isDead(key)) continue;
      const n = ++this.head;
      const before = this.model.get(key)?.[0]?.payload;
      const ref = (outside === "same" && before && outsideOf(before)?.id) || 64 * n;
      const inline = payloadBytes === undefined ? undefined : new Uint8Array(payloadBytes);
      const payload = inline && outside ? referring(ref) : inline;
      for (const chains of [this.#memory, this.model]) {
        chains.set(key, [{ seq: seq(n), stamp: stamp(n * 1024), payload }, ...(chains.get(key) ?? [])]);
      }
    }
  }

  async fold(options: LevelOptions, crashAt: number | undefined): Promise<void> {
    const level = foldLevel(this.manifest, options);
    const edits = ({ removed, added }: Merged) => [{ level, removed, added }];
    await this.#run({ level, changes: this.#changes(), above: [], edits }, crashAt);
    this.#memory = new Map();
  }

  async sink({ level, blocks, staysAbove, cursor }: Compaction, crashAt: number | undefined): Promise<void> {
    const edits = ({ removed, added }: Merged) => [
      { level, removed: blocks, added: [], cursor },
      { level: level + 1, removed, added },
    ];
    await this.#run({ level: level + 1, changes: noChanges, above: blocks, staysAbove, edits }, crashAt);
  }

  /** Some blocks of a level go down, with the rest of the last one's last chain. */
  async push(what: { readonly level: number; readonly share: number; readonly blocks: number }): Promise<void> {
    const { level } = what;
    const all = [...this.manifest.levels[level]!.blocks()];
    const start = Math.min(all.length - 1, Math.floor(what.share * all.length));
    let end = start + what.blocks;
    while (all[end] !== undefined && all[end]!.first.key === all[end - 1]!.last.key) end++;
    const blocks = all.slice(Math.max(0, start), end);
    const before = all[Math.max(0, start) - 1];
    const staysAbove = before?.last.key === blocks[0]?.first.key ? before?.last.seq : undefined;
    await this.sink({ level, blocks, staysAbove, cursor: this.manifest.cursors[level]! }, undefined);
  }

  /** The memtable and all of `level` together become part of the level below it. */
  async both(level: number): Promise<void> {
    const above = [...this.manifest.levels[level]!.blocks()];
    const edits = ({ removed, added }: Merged) => [
      { level, removed: above, added: [] },
      { level: level + 1, removed, added },
    ];
    await this.#run({ level: level + 1, changes: this.#changes(), above, edits }, undefined);
    this.#memory = new Map();
  }

  #changes(): ListedChanges {
    const list = [...this.#memory].map(([key, versions]) => ({ key, versions }));
    return new ListedChanges(list.toSorted((a, b) => (a.key < b.key ? -1 : 1)));
  }

  async #run(job: Job, crashAt: number | undefined): Promise<void> {
    if (crashAt !== undefined && (await this.#dies(job, crashAt))) this.#checkReads();
    const before = this.manifest;
    const contentBefore = before.levels.map((_, level) => this.content(level));
    const refsBefore = this.#refs();
    const merged = await this.#merge(job);
    const loaded = new Set(this.#disk.loaded);
    this.#checkIO(job, merged, before, loaded);
    this.#disk.publish(job.edits(merged));
    if (job.changes.list) this.#memory = new Map();
    this.#checkManifest(before, job, merged);
    this.#checkContent(job, merged, contentBefore);
    this.#checkLost(refsBefore, merged);
    this.#checkBatches(before, merged);
    this.#checkReads();
  }

  #merge({ changes, above, staysAbove, level }: Job): Promise<Counted> {
    return this.#disk.merged(changes, above, level, {
      ...this.sizes,
      floor: this.floor,
      points: [...this.points].toSorted((a, b) => a - b),
      staysAbove,
      isDead: (table) => this.dead.has(table),
    });
  }

  /** Whether the merge came as far as that call of `load` or `store`. */
  async #dies(job: Job, crashAt: number): Promise<boolean> {
    let left = crashAt;
    this.#disk.onCall = () => {
      if (left-- === 0) throw crash;
    };
    try {
      await this.#merge(job);
      return false;
    } catch (e) {
      if (e !== crash) throw e;
      return true;
    } finally {
      this.#disk.onCall = () => undefined;
    }
  }

  /** As a reader does it: the first level that has a version that is old enough decides. */
  find(key: ByteKey, at: Seq): Version | undefined {
    const inMemory = this.#memory.get(key)?.find((version) => version.seq <= at);
    if (inMemory) return inMemory;
    for (const level of this.manifest.filled) {
      const info = level.at(level.find(key, at));
      const version = info && this.#disk.open(info.id).find(key, at);
      if (version) return version;
    }
    return undefined;
  }

  modelAt(key: string, r: number): Uint8Array | undefined {
    return this.model.get(byteKey(key))?.find((version) => version.seq <= r)?.payload;
  }

  content(level: number): readonly Entry[] {
    return [...this.manifest.levels[level]!.blocks()].flatMap(({ id, count }) => {
      const block = this.#disk.open(id);
      return Array.from({ length: count }, (_, i) => ({ key: block.keyAt(i), version: block.versionAt(i) }));
    });
  }

  #checkReads(): void {
    for (const key of this.model.keys()) {
      if (this.isDead(key)) continue;
      const above = Array.from({ length: this.head + 2 - this.floor }, (_, i) => this.floor + i);
      for (const r of new Set([...this.points, ...above])) {
        const found = this.find(key, seq(r));
        const expected = this.model.get(key)!.find((version) => version.seq <= r);
        const isSame = found?.payload === undefined ? expected?.payload === undefined : found.seq === expected?.seq;
        if (!isSame) expect(found, `${key} at ${r}`).toEqual(expected);
        const ref = found?.payload && outsideOf(found.payload);
        if (ref && this.#lost.has(ref.id)) expect.fail(`the value of ${key} at ${r} is lost`);
      }
    }
  }

  /** Every level lists its blocks in order and tells the truth about them, and upper levels are newer. */
  #checkManifest(before: Manifest, { level, above }: Job, { removed, added, written }: Merged): void {
    const oldest = new Map<ByteKey, number>();
    for (const [l, { length }] of this.manifest.levels.entries()) {
      const infos = [...this.manifest.levels[l]!.blocks()];
      expect(infos.length).toBe(length);
      for (const [i, info] of infos.entries()) {
        if (i > 0) expect(compareInternal(infos[i - 1]!.last, info.first)).toBeLessThan(0);
        const { filter, due, pinned } = info;
        expect(info).toEqual({ ...this.#infoOf(info.id), filter, due, pinned });
        this.#checkFilter(info);
      }
      const content = this.content(l);
      for (const { key, version } of content) expect(version.seq).toBeLessThan(oldest.get(key) ?? Infinity);
      for (const { key, version } of content) oldest.set(key, version.seq);
      if (l !== level && l !== level - 1) expect(this.manifest.levels[l]).toBe(before.levels[l]);
    }
    const gone = new Set(removed);
    const kept = [...before.levels[level]!.blocks()].filter((info) => !gone.has(info));
    const expected = [...kept, ...added].toSorted((a, b) => compareInternal(a.first, b.first));
    expect([...this.manifest.levels[level]!.blocks()]).toEqual(expected);
    const made = added.filter((info) => !above.includes(info));
    expect(written).toEqual({ blocks: made.length, bytes: made.reduce((n, { sizeBytes }) => n + sizeBytes, 0) });
  }

  /** A filter knows every key of its block; only one without any records has none. */
  #checkFilter({ id, count, filter }: BlockInfo): void {
    const block = this.#disk.open(id);
    let hasRecords = false;
    for (let i = 0; i < count; i++) {
      if (!mayHold(filter, hashOf(block.keyAt(i)))) expect.fail(`the filter of block ${id} lacks a key`);
      hasRecords ||= (block.versionAt(i).payload?.length ?? 0) > 0;
    }
    expect(filter.length > 0).toBe(hasRecords);
  }

  #infoOf(id: BlockId): Omit<BlockInfo, "filter" | "due" | "pinned"> {
    const block = this.#disk.open(id);
    const all = Array.from({ length: block.count }, (_, i) => ({ key: block.keyAt(i), ...block.versionAt(i) }));
    const [first, last] = [all[0]!, all.at(-1)!];
    return {
      id,
      first: { key: first.key, seq: first.seq },
      last: { key: last.key, seq: last.seq },
      count: all.length,
      tombstones: all.filter(({ payload }) => payload === undefined).length,
      obsolete: all.filter(({ key }, i) => all[i - 1]?.key === key).length,
      outside: all.filter(({ payload }) => payload && outsideOf(payload)).length,
      sizeBytes: this.bytesOf(id).length,
    };
  }

  /** [VG14] What is read is what is rewritten, and nothing else; a block from above is rewritten or moves. */
  #checkIO({ changes, above, level }: Job, { removed, added }: Merged, before: Manifest, loaded: Set<BlockId>): void {
    const moved = above.filter((info) => added.includes(info));
    const rewritten = [...above.filter((info) => !added.includes(info)), ...removed];
    for (const { id } of rewritten) expect(loaded.has(id)).toBe(true);
    for (const { id } of moved) expect(loaded.has(id)).toBe(false);
    for (const { first, last } of moved) {
      expect(changes.list?.some(({ key }) => first.key <= key && key <= last.key) ?? false).toBe(false);
      expect(removed.some((b) => b.first.key <= last.key && first.key <= b.last.key)).toBe(false);
    }
    // Reading ahead may have fetched what turns out not to take part: small blocks, and those that a block from above
    // spans without having a key there.
    const small = this.sizes.targetBytes / 2;
    const met = (info: BlockInfo) => above.some((a) => a.first.key <= info.last.key && info.first.key <= a.last.key);
    for (const info of before.all()) {
      if (!loaded.has(info.id) || rewritten.includes(info)) continue;
      expect(before.levels[level]!.has(info) && (met(info) || info.sizeBytes < small)).toBe(true);
    }
    for (const info of removed) {
      const isHit = met(info) || changes.list?.some(({ key }) => info.first.key <= key && key <= info.last.key);
      if (!isHit) expect(info.sizeBytes).toBeLessThan(small);
    }
  }

  /** What versions of tables that are looked at refer to. */
  #refs(): Set<number> {
    const blocks = this.manifest.levels.flatMap((_, level) => this.content(level));
    const memory = [...this.#memory].flatMap(([key, versions]) => versions.map((version) => ({ key, version })));
    const refs = [...blocks, ...memory].flatMap(({ key, version: { payload } }) =>
      payload && !this.isDead(key) ? (outsideOf(payload)?.id ?? []) : [],
    );
    return new Set(refs);
  }

  /** A value out of line to which nothing refers any more is lost: none stays behind. That none goes early is seen by reads. */
  #checkLost(before: ReadonlySet<number>, { lost }: Merged): void {
    const after = this.#refs();
    for (const { id } of lost) this.#lost.add(id);
    for (const id of before) if (!after.has(id) && !this.#lost.has(id)) expect.fail(`value ${id} stays behind`);
  }

  /** [MV11] No call moves more than it may, unless that is one block. */
  #checkBatches(before: Manifest, { added }: Merged): void {
    const sizeOf = new Map([...before.all(), ...added].map(({ id, sizeBytes }) => [id, sizeBytes]));
    const batches = [...this.#disk.loads, ...this.#disk.stores.map((batch) => batch.map(({ id }) => id))];
    for (const ids of batches) {
      const bytes = ids.reduce((n, id) => n + sizeOf.get(id)!, 0);
      expect(ids.length).toBeGreaterThan(0);
      if (ids.length > 1) expect(bytes).toBeLessThanOrEqual(this.sizes.maxStoreBytes);
    }
  }

  /** What stays of each key in the level is what the rule says, or all of it where its blocks were left alone. */
  #checkContent(
    { level, changes, above }: Job,
    { added, removed, dropped }: Counted,
    before: readonly (readonly Entry[])[],
  ): void {
    const after = grouped(this.content(level));
    const own = grouped(before[level]!);
    const fromMemory = new Map((changes.list ?? []).map(({ key, versions }) => [key, versions]));
    const stillAbove = new Set(level === 0 ? [] : this.content(level - 1).map(({ version }) => version.seq));
    const stillAboveOf = grouped(level === 0 ? [] : this.content(level - 1));
    const cameDown = grouped(
      above.length === 0 ? [] : before[level - 1]!.filter(({ version }) => !stillAbove.has(version.seq)),
    );
    const moved = above.filter((info) => added.includes(info));
    const hasMoved = (key: ByteKey) => moved.some(({ first, last }) => first.key <= key && key <= last.key);
    const goneCount = { versions: 0, bytes: 0 };
    for (const key of this.model.keys()) {
      const fresh = [...(fromMemory.get(key) ?? []), ...(cameDown.get(key) ?? [])];
      const old = own.get(key) ?? [];
      const all = [...fresh, ...old];
      const left = after.get(key) ?? [];
      // What the rule lets go may stay, in blocks that were left alone or moved; nothing else may go.
      const newer = above[0]?.first.key === key ? stillAboveOf.get(key)?.at(-1) : undefined;
      const isHidden = before.slice(level + 1).some((list) => list.some((entry) => entry.key === key));
      const required = this.isDead(key) ? [] : this.#seen(all, newer, !isHidden);
      // The old end of a chain that a block border cuts off is decided by itself: a tombstone there hides nothing.
      const end = required.at(-1);
      const mayGo = !isHidden && end !== undefined && end.payload === undefined && end.seq < this.floor;
      const needed = mayGo ? required.slice(0, -1) : required;
      const isPart = newer !== undefined || this.#tails(before[level]!, added, removed, level).has(key);
      const [seqs, leftSeqs] = [needed, left].map((list) => list.map((version) => version.seq));
      expect(all.map((version) => version.seq)).toEqual(expect.arrayContaining(leftSeqs!));
      expect(leftSeqs).toEqual(expect.arrayContaining(seqs!));
      if (isHidden && all[0] && newer === undefined && !this.isDead(key)) expect(left[0]).toEqual(all[0]);
      const isOutside = all.some(({ payload }) => payload && outsideOf(payload));
      if (!isPart && !isOutside && (fresh.length > 0 ? !hasMoved(key) : left.length === 0 && all.length > 0)) {
        const mayHide = this.manifest.levels.slice(level + 1, levelCount).some((one) => one.mayHold(key));
        const ruled = this.isDead(key) ? [] : this.#seen(all, newer, !mayHide);
        expect(leftSeqs).toEqual(ruled.map((version) => version.seq));
      }
      const stays = new Set(leftSeqs);
      for (const { seq: n, payload } of all) {
        if (stays.has(n)) continue;
        goneCount.versions++;
        goneCount.bytes += key.length + (payload?.length ?? 0);
      }
    }
    expect(dropped).toEqual(goneCount);
    for (const key of after.keys()) expect(this.model.has(key)).toBe(true);
  }

  /** The rule, said once more and naively: what somebody may see, newest first. `complete`: nothing older lies below. */
  #seen(all: readonly Version[], newer: Version | undefined, complete: boolean): readonly Version[] {
    const isSeen = (c: number, n: number): boolean =>
      n > this.floor || [...this.points].some((point) => c <= point && point < n);
    const seen = all.filter(({ seq: c }, i) => {
      const n = (all[i - 1] ?? newer)?.seq;
      return n === undefined || isSeen(c, n);
    });
    const [first] = seen;
    const isAlone = seen.length === 1 && newer === undefined && first === all[0];
    return isAlone && complete && first!.payload === undefined && first!.seq < this.floor ? [] : seen;
  }

  /** Keys whose chains lie in part in blocks of the level that were left alone. */
  #tails(
    before: readonly Entry[],
    added: readonly BlockInfo[],
    removed: readonly BlockInfo[],
    level: number,
  ): ReadonlySet<ByteKey> {
    const gone = new Set(removed.map(({ id }) => id));
    const made = new Set(added.map(({ id }) => id));
    const left = [...this.manifest.levels[level]!.blocks()].filter(({ id }) => !gone.has(id) && !made.has(id));
    const known = new Set(before.map(({ key }) => key));
    return new Set(left.flatMap(({ first, last }) => [first.key, last.key]).filter((key) => known.has(key)));
  }
}
