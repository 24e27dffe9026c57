/**
 * An independent look at garbage collection: it hears of every batch that a medium commits, replays the log, works out
 * what each swap of the manifest removed, and asks of each removal by brute force whether anybody could still see it.
 * It knows formats, but nothing of how the engine decides: neither the rule nor anything of room `gc`.
 *
 * It hears of a memory medium by `onWritten`, of any other storage through `watched`. After a crash of the medium it is
 * told what is left, by `restart`.
 */
import { type ByteKey, type Seq, seq } from "../base/brand.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { holdersIn, isPoint } from "../mvcc/holders.ts";
import { floorIn } from "../mvcc/read-floor.ts";
import { hashOf } from "../segments/filter.ts";
import type { Storage, Write } from "../storage/contract.ts";
import { decodeEntry, type LogEntry, wholeEntry } from "../wal/entry.ts";
import { decodeFence } from "../wal/log.ts";
import { openRow } from "../wal/row.ts";
import { commitsIn, type SeenCommit } from "./commits.ts";
import { Chains, type Committed } from "./verifier-log.ts";
import { type ListedBlock, Mirror } from "./verifier-mirror.ts";

export interface Violation {
  readonly key: ByteKey | undefined;
  readonly seq: number | undefined;
  readonly reason: string;
}

/** What the step that removed something wrote down about it. */
interface Told {
  readonly kind: string;
  readonly floor: number;
  readonly checkpoint: number;
  readonly versions: number;
  readonly bytes: number;
  readonly hash: number;
}

export interface VerifierStats {
  swaps: number;
  removed: number;
  tombstones: number;
  /** Removals that a record of the log's floor alone would not allow: points lie below. */
  belowPoints: number;
}

interface Swap {
  readonly floor: number;
  readonly fence: number;
  readonly points: readonly number[];
  readonly dead: (table: number) => boolean;
  readonly told: Told | undefined;
}

export interface Removal {
  readonly key: ByteKey;
  readonly seq: number;
  /** Without a value out of line. */
  readonly bytes: number;
}

/** Hears of commits as they become durable, and of those that a crash took. */
export interface CommitListener {
  committed(commit: SeenCommit): void;
  /** Nothing behind this seq is there any more. */
  cut(last: number): void;
}

type Stored = Map<ByteKey, Map<number, Uint8Array | undefined>>;

export class Verifier {
  readonly violations: Violation[] = [];
  /** All that went, in order of the swaps. */
  readonly removals: Removal[] = [];
  readonly chains: Chains = new Chains();
  /** Told of each commit that is logged. */
  listener: CommitListener | undefined;
  readonly stats: VerifierStats = { swaps: 0, removed: 0, tombstones: 0, belowPoints: 0 };
  readonly #mirror = new Mirror();
  /** Wall time, for retention by age: at or after the engine's. */
  readonly #nowMs: () => number;
  #blocks: ReadonlyMap<number, ListedBlock> = new Map();
  #stored: Stored = new Map();
  #fence: Seq = seq(0);

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** One batch took effect. */
  written(writes: readonly Write[]): void {
    this.#mirror.apply(writes);
    const before = this.#fence;
    for (const write of writes) this.#hear(write);
    if (writes.some((w) => w.store === "meta" && w.kind === "put" && w.key === "manifest"))
      this.#swapped(writes, before);
    else if (writes.some((w) => w.store === "blocks" && w.kind === "delete" && this.#blocks.has(w.key as number))) {
      this.#report(undefined, undefined, "a listed block is deleted without a swap of the manifest");
    }
  }

  /** What the manifest's blocks hold: per key the seqs, ascending. */
  stored(): ReadonlyMap<ByteKey, readonly number[]> {
    return new Map([...this.#stored].map(([key, versions]) => [key, [...versions.keys()].toSorted((a, b) => a - b)]));
  }

  /** A crash took the last batches; `storage` has what is left. */
  async restart(storage: Storage): Promise<void> {
    await this.#mirror.load(storage);
    const [fence] = this.#mirror.row("log", 0);
    this.#fence = fence ? decodeFence(fence.value).seq : seq(0);
    this.#blocks = this.#mirror.listed().blocks;
    this.#stored = versionsIn(this.#blocks.values());
    let head = this.#fence;
    for (const { key, value } of this.#mirror.rows("log")) {
      if ((key as number) > head) head = decodeEntry(value).lastSeq;
    }
    this.chains.cut(head);
    this.listener?.cut(head);
  }

  #hear(write: Write): void {
    if (write.store !== "log" || (write.kind !== "add" && write.kind !== "put")) return;
    if (write.key === 0) this.#fence = decodeFence(write.value).seq;
    else if (Number(write.key) > this.#fence) this.#logged(this.#whole(decodeEntry(write.value.slice())));
  }

  #logged(entry: LogEntry): void {
    if (entry.firstSeq <= this.chains.head) this.listener?.cut(entry.firstSeq - 1);
    this.chains.add(entry);
    if (!this.listener) return;
    for (const commit of commitsIn(entry, (ref) => this.#mirror.outside(ref))) this.listener.committed(commit);
  }

  #whole(entry: LogEntry): LogEntry {
    if (entry.isWhole) return entry;
    const body = this.#mirror.outside(entry.body!);
    if (body) return wholeEntry(entry, body);
    this.#report(undefined, entry.firstSeq, "an entry is published whose writes are not stored");
    return entry;
  }

  #swapped(writes: readonly Write[], before: Seq): void {
    const { blocks, lost } = this.#mirror.listed();
    for (const id of lost) this.#report(undefined, undefined, `block ${id} is listed and not stored`);
    const [gone, come] = [without(this.#blocks, blocks), without(blocks, this.#blocks)];
    const [had, has] = [versionsIn(gone), versionsIn(come)];
    for (const key of this.chains.keys()) {
      const folded = this.chains.of(key).filter(({ seq: c }) => before < c && c <= this.#fence);
      for (const { seq: c, payload } of folded) into(had, key, c, payload);
    }
    for (const [key, versions] of had) for (const c of versions.keys()) this.#stored.get(key)?.delete(c);
    for (const [key, versions] of has) for (const [c, payload] of versions) into(this.#stored, key, c, payload);
    for (const [key, versions] of had)
      if (versions.size > 0 && this.#stored.get(key)?.size === 0) this.#stored.delete(key);
    const removed = [...had].flatMap(([key, versions]) =>
      [...versions]
        .filter(([c]) => !has.get(key)?.has(c))
        .map(([c, payload]): Removal => ({ key, seq: c, bytes: key.length + (payload?.length ?? 0) })),
    );
    this.#blocks = blocks;
    const swap = this.#swap(writes);
    this.stats.swaps++;
    this.stats.removed += removed.length;
    this.removals.push(...removed);
    for (const one of removed) this.#checkRemoval(one, swap);
    for (const key of new Set(had.keys())) this.#checkReads(key, swap);
    const payloads = removed.map(({ key, seq: c }) => had.get(key)?.get(c));
    this.#checkRecord(removed, gone, this.#bytesGone(payloads), come.length === 0, swap.told);
  }

  /** Of the values out of line that these refer to, those of which nothing is stored any more. */
  #bytesGone(payloads: readonly (Uint8Array | undefined)[]): number {
    const refs = payloads.flatMap((payload) => (payload && outsideOf(payload)) ?? []);
    const gone = new Map(refs.flatMap((ref) => (this.#mirror.outside(ref) ? [] : [[ref.id, ref.sizeBytes]])));
    return [...gone.values()].reduce((a, b) => a + b, 0);
  }

  #swap(writes: readonly Write[]): Swap {
    const rows = ["pin/", "snapshot/", "hold/", "consumer/"].map((prefix) => this.#mirror.rows("meta", prefix));
    const holders = holdersIn(rows);
    const { seq: floor } = floorIn(this.#mirror.row("meta", "floor"));
    for (const { id, kind, seq: at } of holders) {
      if ((kind === "pin" || kind === "consumer") && at < floor)
        this.#report(undefined, at, `${id} lies below the floor ${floor}`);
    }
    const points = [...new Set(holders.flatMap((h) => (isPoint(h) ? [h.seq] : [])))];
    const at = Math.min(floor, this.#fence);
    const catalogs = [at, ...points.filter((p) => p < at)].map((r) => this.chains.catalogAt(r));
    return { floor, fence: this.#fence, points, dead: (table) => isDead(table, catalogs), told: toldIn(writes) };
  }

  #checkRemoval({ key, seq: c }: Removal, { floor, fence, points, dead, told }: Swap): void {
    const table = tableOf(key);
    if (dead(table)) return;
    const chain = this.chains.of(key);
    const i = chain.findIndex((version) => version.seq === c);
    const [version, next] = [chain[i], chain[i + 1]];
    if (!version) return this.#report(key, c, "it was never committed");
    const by = next?.seq ?? c;
    // A deletion with nothing older to hide is as good as none, whatever comes after it.
    const isHiding = [...(this.#stored.get(key)?.keys() ?? [])].some((other) => other < c);
    const isLastDeletion = version.payload === undefined && !isHiding;
    if (c > fence || (by > fence && !isLastDeletion)) {
      this.#report(key, c, `what supersedes it, ${by}, is not in the checkpoint ${fence}`);
    }
    if (isLastDeletion) {
      this.stats.tombstones++;
      if (c >= floor) this.#report(key, c, `a deletion at or above the floor ${floor}`);
    } else if (!next) this.#report(key, c, "it is the newest of its key");
    if (points.some((p) => p < c)) this.stats.belowPoints++;
    const kept = next && !isLastDeletion && this.#retainer(chain, i, told?.checkpoint ?? fence, table);
    if (kept) this.#report(key, c, `retention keeps it: ${kept}`);
    const end = next ? next.seq : Infinity;
    if (version.payload === undefined) return; // whether it hid something, reads tell
    for (const r of [...points, Math.max(c, floor)]) {
      if (c <= r && r < end) this.#report(key, c, `a reader at ${r} sees it`);
    }
  }

  #retainer(chain: readonly Committed[], i: number, checkpoint: number, table: number): string | undefined {
    const { collections, keepForMs = 0 } = this.chains.catalogAt(checkpoint);
    const declared = Object.values(collections).find((stored) => stored.table === table);
    // So many advances of the floor are kept.
    const retention = table === 0 ? { latest: 100 } : declared && (declared.retention ?? {});
    if (!retention) return undefined;
    const [{ seq: c }, next] = [chain[i]!, chain[i + 1]!];
    const newer = chain.slice(i + 1).filter(({ seq: n }) => n <= this.#fence).length;
    if (newer < (retention.latest ?? 0)) return `it is among the latest ${retention.latest}`;
    for (const [from, to] of retention.ranges ?? []) if (c <= to && from < next.seq) return `${from} to ${to}`;
    const forMs = Math.max(retention.forMs ?? 0, declared ? keepForMs : 0);
    return forMs > 0 && next.madeMs + forMs > this.#nowMs() ? `it went less than ${forMs} ms ago` : undefined;
  }

  /** Whoever may read finds of this key what he should, in what is left; and the value with it. */
  #checkReads(key: ByteKey, { floor, points, dead }: Swap): void {
    if (dead(tableOf(key))) return;
    const chain = this.chains.of(key);
    const left = new Map(this.#stored.get(key) ?? []);
    for (const { seq: c, payload } of chain) if (c > this.#fence) left.set(c, payload);
    const seqs = [...left.keys()].toSorted((a, b) => b - a);
    const readers = new Set([...points, floor, ...chain.flatMap(({ seq: c }) => (c >= floor ? [c] : []))]);
    for (const r of readers) {
      const truth = this.chains.at(key, r);
      const found = seqs.find((c) => c <= r);
      const payload = found === undefined ? undefined : left.get(found);
      if (truth?.payload === undefined ? payload !== undefined : found !== truth.seq) {
        this.#report(key, found, `a reader at ${r} finds it instead of ${truth?.seq ?? "nothing"}`);
      }
      const ref = payload && outsideOf(payload);
      if (ref && !this.#mirror.outside(ref)) this.#report(key, found, `the value that a reader at ${r} sees is gone`);
    }
  }

  #checkRecord(
    removed: readonly Removal[],
    gone: readonly ListedBlock[],
    outsideBytes: number,
    isWithoutNew: boolean,
    told: Told | undefined,
  ): void {
    if (!told) {
      if (removed.length > 0) this.#report(undefined, undefined, `${removed.length} versions went without a record`);
      return;
    }
    const isUnread = told.kind === "clear";
    if (isUnread && !isWithoutNew) this.#report(undefined, undefined, "what clears whole blocks brings no new ones");
    const inline = isUnread ? ofBlocks(gone) : ofVersions(removed);
    const found = { ...inline, bytes: inline.bytes + outsideBytes };
    for (const what of ["versions", "bytes", "hash"] as const) {
      if (told[what] === found[what]) continue;
      this.#report(undefined, undefined, `the record says ${told[what]} ${what}, and it were ${found[what]}`);
    }
  }

  #report(key: ByteKey | undefined, at: number | undefined, reason: string): void {
    this.violations.push({ key, seq: at, reason });
  }
}

/** The same storage, whose commits the verifier hears of. */
export const watched = (storage: Storage, verifier: Verifier): Storage => ({
  read: (reads) => storage.read(reads),
  close: () => storage.close(),
  commit: async (batch) => {
    let writes: readonly Write[] | undefined;
    const { writes: given } = batch;
    const noted =
      typeof given !== "function"
        ? (writes = given.map(copied))
        : (found: Parameters<typeof given>[0]) => {
            const chosen = given(found);
            writes = chosen?.map(copied);
            return chosen;
          };
    const done = await storage.commit({ ...batch, writes: noted });
    if (done.status === "committed" && writes && writes.length > 0) verifier.written(writes);
    return done;
  },
});

const copied = (write: Write): Write =>
  write.kind === "put" || write.kind === "add" ? { ...write, value: write.value.slice() } : write;

const without = (
  some: ReadonlyMap<number, ListedBlock>,
  others: ReadonlyMap<number, ListedBlock>,
): readonly ListedBlock[] => [...some.values()].filter(({ id }) => !others.has(id));

function into(stored: Stored, key: ByteKey, c: number, payload: Uint8Array | undefined): void {
  const versions = stored.get(key) ?? new Map<number, Uint8Array | undefined>();
  stored.set(key, versions.set(c, payload));
}

function versionsIn(blocks: Iterable<ListedBlock>): Stored {
  const stored: Stored = new Map();
  for (const { entries } of blocks) for (const { key, seq: c, payload } of entries) into(stored, key, c, payload);
  return stored;
}

/** No catalog that anybody may read by names it, and none ever will again. */
function isDead(table: number, catalogs: readonly Catalog[]): boolean {
  if (table === 0 || table >= catalogs[0]!.nextTable) return false;
  return catalogs.every(({ collections }) =>
    Object.values(collections).every(
      (stored) => stored.table !== table && Object.values(stored.indexes).every((index) => index.table !== table),
    ),
  );
}

function toldIn(writes: readonly Write[]): Told | undefined {
  for (const write of writes) {
    if (write.kind !== "put" || write.store !== "meta" || !String(write.key).startsWith("gc/record/")) continue;
    return JSON.parse(openRow(write.value, String(write.key), "record").text()) as Told;
  }
  return undefined;
}

interface Figures {
  readonly versions: number;
  readonly bytes: number;
  readonly hash: number;
}
const nothing: Figures = { versions: 0, bytes: 0, hash: 0 };
const golden = 0x9e3779b1;

const ofVersions = (removed: readonly Removal[]): Figures =>
  removed.reduce((sum, { key, seq: c, bytes }) => {
    const hash = (Math.imul(hashOf(key) ^ (c >>> 0), golden) ^ Math.floor(c / 2 ** 32)) >>> 0;
    return { versions: sum.versions + 1, bytes: sum.bytes + bytes, hash: (sum.hash + hash) >>> 0 };
  }, nothing);

const ofBlocks = (gone: readonly ListedBlock[]): Figures =>
  gone.reduce(
    (sum, { id, entries, sizeBytes }) => ({
      versions: sum.versions + entries.length,
      bytes: sum.bytes + sizeBytes,
      hash: (sum.hash + (Math.imul(id >>> 0, golden) >>> 0)) >>> 0,
    }),
    nothing,
  );
