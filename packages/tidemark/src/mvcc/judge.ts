/**
 * Judging commits (MV3). Members of a group are judged in order, each against everything committed after its view and
 * against the members accepted before it:
 *
 *   serializable   nothing it read, keys or ranges, was touched after its view
 *   snapshot       nothing it writes was written after its view; of what it cleared, nothing at all
 *   both           an `add` finds its key free; a unique index key belongs to nobody else; the schema is still the one
 *                  that its tables were named by
 *
 * What the newest version of a key is, is answered by the group, then the memtable, then the blocks. The last need
 * storage, so `prepare` looks them up beforehand; they stay true as long as the checkpoint does, and whatever commits
 * meanwhile is in the memtable.
 */
import { type ByteKey, byteKey, type Seq, seq, type TabId } from "../base/brand.ts";
import type { TidemarkError } from "../base/errors.ts";
import { keyEnd, prefixEnd } from "../codec/key.ts";
import { indexEntriesOf, tableOf, tablePrefixBytes, type Write } from "../codec/record.ts";
import { type Version, versionBytes } from "../segments/version.ts";
import type { LoggedWrite } from "../wal/entry.ts";
import {
  conflict,
  constraint,
  type Failure,
  releases,
  type GroupState,
  type Member,
  type CommitRequest,
} from "./group.ts";
import type { ReadSet } from "./read-set.ts";
import { Reader } from "./reader.ts";
import { catalogKey, type Schema } from "./schema.ts";
import type { Store } from "./store.ts";

/** The outcome of judging one member. */
export type Verdict = { readonly writes: readonly LoggedWrite[]; readonly existed: readonly boolean[] } | TidemarkError;

interface Base {
  readonly checkpoint: Seq;
  readonly versions: Map<ByteKey, Version | undefined>;
  /** Index entries that blocks hold under a unique index key, by that prefix. */
  readonly owners: Map<ByteKey, readonly ByteKey[]>;
}

export class Judge {
  readonly #store: Store;
  readonly #reader: Reader;
  /** The one in force. */
  readonly #schema: () => Schema;
  #base: Base | undefined;

  constructor(store: Store, schema: () => Schema) {
    this.#store = store;
    this.#reader = new Reader(store);
    this.#schema = schema;
  }

  async prepare(members: readonly Member[]): Promise<void> {
    const { manifest, memtable, checkpoint } = this.#store;
    this.#base = undefined;
    if (manifest.filled.length === 0) {
      this.#base = { checkpoint, versions: new Map(), owners: new Map() };
      return;
    }
    const keys: ByteKey[] = [];
    const prefixes = new Set<ByteKey>();
    for (const m of members) {
      if (m.told) continue;
      for (const key of m.request.inside?.keys ?? []) if (memtable.newest(key) === undefined) keys.push(key);
      for (const w of m.request.writes) {
        if (memtable.newest(w.key) === undefined) keys.push(w.key);
        for (const prefix of uniquePrefixes(w, this.schemaOf(m.request))) prefixes.add(prefix);
      }
    }
    const { checkpoint: of, versions } = await this.#reader.inBlocks(keys);
    const owners = await this.#ownersInBlocks(prefixes);
    // A checkpoint meanwhile moved versions from memory to blocks: what was not asked for may lie there now.
    if (of === checkpoint) this.#base = { checkpoint, versions, owners };
  }

  isPrepared(): boolean {
    return this.#base?.checkpoint === this.#store.checkpoint;
  }

  async #ownersInBlocks(prefixes: ReadonlySet<ByteKey>): Promise<Map<ByteKey, readonly ByteKey[]>> {
    const owners = new Map<ByteKey, readonly ByteKey[]>();
    for (const from of prefixes) {
      const found: ByteKey[] = [];
      await this.#reader.scan({ from, to: prefixEnd(from) }, this.#store.fence.seq, false, undefined, ({ key }) => {
        found.push(key);
        return true;
      });
      owners.set(from, found);
    }
    return owners;
  }

  /** The one whose unique indexes count for a request. */
  schemaOf({ brings }: CommitRequest): Schema {
    return brings ?? this.#schema();
  }

  /** Whether, of what others in its group write, it is judged by records alone: no index entry, no range. */
  looksAtRecordsOnly(request: CommitRequest): boolean {
    return request.basis === undefined && this.schemaOf(request).unique.size === 0;
  }

  judge(request: CommitRequest, group: GroupState): Verdict {
    // A member accepted before may have changed it: then nobody behind it can know.
    const isChanged = group.memtable.newest(catalogKey) !== undefined;
    const isOther = isChanged || request.schemaEpoch !== this.#schema().epoch;
    if (isOther && !request.inside) return conflict("the schema changed", "schema");
    const schema = this.schemaOf(request);
    const clash = this.#conflict(request, group);
    if (clash) return clash;
    const writes: LoggedWrite[] = [];
    const existed: boolean[] = [];
    const failures: Failure[] = [];
    let claimed: Map<ByteKey, ByteKey> | undefined;
    request.writes.forEach((w, position) => {
      const before = this.#newest(w.key, group);
      const isThere = before?.payload !== undefined;
      existed.push(isThere);
      if (w.kind === "add" && isThere) failures.push({ position, constraint: "key", taken: w.key });
      if (w.kind === "delete" && !isThere) return;
      const isUnique = schema.unique.size > 0;
      const owner = isUnique && this.#rival(w, schema, request.writes, (claimed ??= new Map()), group);
      if (owner) failures.push({ position, constraint: "unique", taken: owner });
      const oldEntries = isThere ? liveEntries(indexEntriesOf(w.key, before.payload), schema) : [];
      const supersedes = before?.seq ?? seq(0);
      const supersededBytes = before ? versionBytes(w.key, before.payload) : 0;
      writes.push({ key: w.key, payload: w.payload, supersedes, supersededBytes, oldEntries });
    });
    return failures.length > 0 ? constraint(failures, request.writes, schema) : { writes, existed };
  }

  #conflict({ basis, writes }: CommitRequest, group: GroupState): TidemarkError | undefined {
    if (!basis) return undefined;
    if (basis.incarnation !== this.#store.fence.incarnation)
      return conflict("what it read is gone from the log", "other");
    if (basis.isolation === "snapshot") {
      const isStale =
        writes.some((w) => (this.#newest(w.key, group)?.seq ?? 0) > basis.seq) ||
        (basis.emptied && this.#toucher(basis.emptied, basis.seq, group) !== undefined);
      return isStale ? conflict("a key it writes was written after its view", "other") : undefined;
    }
    const by = this.#toucher(basis.reads, basis.seq, group);
    if (by === undefined) return undefined;
    return conflict("something it read was changed after its view", by === this.#store.tab ? "self" : "other");
  }

  /** Who touched any of these keys after this seq. */
  #toucher(keys: ReadSet, since: Seq, group: GroupState): TabId | "unknown" | undefined {
    const by = this.#store.window.conflict(keys, since);
    return by ?? (group.touched.some((touched) => keys.meets(touched)) ? this.#store.tab : undefined);
  }

  #newest(key: ByteKey, group: GroupState): Version | undefined {
    return group.memtable.newest(key) ?? this.#store.memtable.newest(key) ?? this.#base?.versions.get(key);
  }

  /** The record that already owns a unique index key which `w` claims. */
  #rival(
    w: Write,
    schema: Schema,
    all: readonly Write[],
    own: Map<ByteKey, ByteKey>,
    group: GroupState,
  ): ByteKey | undefined {
    for (const prefix of uniquePrefixes(w, schema)) {
      const mine = byteKey(prefix + w.key.slice(tablePrefixBytes));
      const earlier = own.get(prefix);
      if (earlier !== undefined && earlier !== mine) return earlier;
      own.set(prefix, mine);
      const owner = this.#owners(prefix, group).find((entry) => entry !== mine && !releases(all, entry, w.key));
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  /** Index entries that are there now under a unique index key. */
  #owners(prefix: ByteKey, group: GroupState): readonly ByteKey[] {
    const candidates = new Set(this.#base?.owners.get(prefix));
    const to = prefixEnd(prefix);
    for (const key of this.#store.memtable.keys(prefix, to, false)) candidates.add(key);
    for (const key of group.memtable.keys(prefix, to, false)) candidates.add(key);
    const inBlocks = this.#base?.owners.get(prefix) ?? [];
    return [...candidates].filter((key) => {
      const newer = group.memtable.newest(key) ?? this.#store.memtable.newest(key);
      return newer ? newer.payload !== undefined : inBlocks.includes(key);
    });
  }
}

/** The unique index keys (index table ‖ index key) a write claims. */
export function uniquePrefixes(w: Write, { unique }: Schema): readonly ByteKey[] {
  if (w.payload === undefined || unique.size === 0) return [];
  return indexEntriesOf(w.key, w.payload)
    .filter((entry) => unique.has(tableOf(entry)))
    .map((entry) => byteKey(entry.slice(0, keyEnd(entry, tablePrefixBytes))));
}

/** An index that was declared anew, or given up, left its keys in records of before: in its table nothing is ended. */
function liveEntries(entries: readonly ByteKey[], { tables }: Schema): readonly ByteKey[] {
  const isLive = (entry: ByteKey): boolean => tables.has(tableOf(entry));
  return entries.every(isLive) ? entries : entries.filter(isLive);
}
