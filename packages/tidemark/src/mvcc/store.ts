/**
 * One tab's copy of the database state: the manifest as of the last checkpoint it knows, the memtable that follows it,
 * and the head of the log. Entries arrive here in order, whoever wrote them: from our own commits, from broadcasts,
 * from reading the log's tail. All changes of state are synchronous.
 */
import type { ByteKey, Seq, TabId } from "../base/brand.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import { indexEntriesOf, presence } from "../codec/record.ts";
import { BlockSource } from "../segments/block-source.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Storage } from "../storage/contract.ts";
import type { Commit, LogEntry, LoggedWrite } from "../wal/entry.ts";
import { type Fence, followed, type Head, sameLog, tailReads } from "../wal/log.ts";
import { Memtable } from "./memtable.ts";
import type { ReadState } from "./reader.ts";
import { join, type Recovered, recover, supersede } from "./recovery.ts";
import { CommitWindow } from "./window.ts";

export interface StoreOptions {
  readonly tab: TabId;
  /** Tabs cannot coordinate: whoever joined last has the database, and finding another incarnation ends this one. */
  readonly isLone: boolean;
  readonly cacheMaxBytes: number;
}

export interface StoreEvents {
  /** The head moved; `touched` are all keys, records and index entries, that these commits wrote. */
  applied(entry: LogEntry, touched: readonly ByteKey[]): void;
  /** Memory was dropped and read anew: anything may have changed. Awaited before anybody goes on. */
  reloaded(): Promise<void>;
  /** Damage at the end of the log was struck. */
  struck(): void;
}

export class Store implements ReadState {
  readonly storage: Storage;
  readonly tab: TabId;
  readonly blocks: BlockSource;
  readonly memtable: Memtable = new Memtable();
  readonly window: CommitWindow = new CommitWindow();
  events: StoreEvents | undefined;
  readonly #isLone: boolean;
  #manifest: Manifest;
  #fence: Fence;
  #head: Head;
  #following: Promise<void> | undefined;
  /** Entries after the fence, with their sizes. */
  #log: { readonly lastSeq: Seq; readonly sizeBytes: number }[] = [];

  private constructor(storage: Storage, options: StoreOptions, state: Recovered) {
    this.storage = storage;
    this.tab = options.tab;
    this.#isLone = options.isLone;
    this.blocks = new BlockSource(storage, options.cacheMaxBytes);
    this.#manifest = state.manifest;
    this.#fence = state.fence;
    this.#head = state.fence;
    for (const entry of state.entries) this.apply(entry);
  }

  /** Joins the database: recovers it and registers this tab's pin. */
  static async open(storage: Storage, options: StoreOptions): Promise<Store> {
    if (options.isLone) await supersede(storage);
    return new Store(storage, options, await join(storage, options.tab));
  }

  get manifest(): Manifest {
    return this.#manifest;
  }
  get head(): Head {
    return this.#head;
  }
  /** The last checkpoint this tab knows of. */
  get fence(): Fence {
    return this.#fence;
  }

  /** The log after the fence, as stored. */
  get log(): { readonly entries: number; readonly sizeBytes: number } {
    return { entries: this.#log.length, sizeBytes: this.#log.reduce((n, e) => n + e.sizeBytes, 0) };
  }

  /** Applies the entry if it is the next one; tells whether the head is now at or past its end. */
  apply(entry: LogEntry): boolean {
    if (entry.lastSeq <= this.#head.seq) return true;
    if (entry.firstSeq !== this.#head.seq + 1 || entry.previous !== this.#head.checksum) return false;
    const all: ByteKey[] = [];
    for (const commit of entry.commits) {
      const touched = this.#applyCommit(commit);
      this.window.add(commit.seq, entry.origin, touched);
      for (const key of touched) all.push(key);
    }
    this.#head = { seq: entry.lastSeq, checksum: entry.checksum, stamp: entry.commits.at(-1)!.stamp };
    this.#log.push({ lastSeq: entry.lastSeq, sizeBytes: entry.sizeBytes });
    this.events?.applied(entry, all);
    return true;
  }

  #applyCommit(commit: Commit): readonly ByteKey[] {
    const touched: ByteKey[] = [];
    for (const write of commit.writes) {
      const version = { seq: commit.seq, stamp: commit.stamp, payload: write.payload };
      this.memtable.put(write.key, version);
      touched.push(write.key);
      for (const { key, present } of entryChanges(write)) {
        if (present !== "kept") {
          const payload = present === "added" ? presence : undefined;
          this.memtable.put(key, { seq: commit.seq, stamp: commit.stamp, payload });
        }
        touched.push(key);
      }
    }
    return touched;
  }

  /** Reads what others appended, until the head is the log's own. Calls made meanwhile share one reading after it. */
  async follow(): Promise<void> {
    while (this.#following) await this.#following;
    this.#following = this.#readTail().finally(() => (this.#following = undefined));
    await this.#following;
  }

  async #readTail(): Promise<void> {
    const { head, fence } = this;
    const tail = followed(await this.storage.read(tailReads(head.seq)), head, fence);
    if (tail.status === "reload" || tail.broken) return this.#reloadNow();
    for (const entry of tail.entries) this.apply(entry);
  }

  /** Drops what is in memory and reads the state anew, as after falling behind a checkpoint. */
  async reload(): Promise<void> {
    while (this.#following) await this.#following;
    this.#following = this.#reloadNow().finally(() => (this.#following = undefined));
    await this.#following;
  }

  async #reloadNow(): Promise<void> {
    const state = await recover(this.storage);
    if (state.struck) this.events?.struck();
    const { fence, manifest, entries } = state;
    if (fence.database !== this.#fence.database) {
      throw new TidemarkError("CLOSED", "This database was deleted by another tab", { reason: "deleted" });
    }
    if (this.#isLone && !sameLog(fence, this.#fence)) {
      throw new TidemarkError("CLOSED", "Another tab has opened this database", { reason: "superseded" });
    }
    if (sameLog(fence, this.#fence) && fence.seq <= this.#head.seq) {
      // We know everything up to the checkpoint: keep the memtable's rest, and who touched what.
      assert(fence.seq >= this.#fence.seq, "the fence never falls");
      this.install(manifest, fence);
      for (const entry of entries) this.apply(entry);
      return;
    }
    this.memtable.clear();
    this.#log = [];
    this.#manifest = manifest;
    this.#fence = fence;
    this.#head = fence;
    this.window.restart(entries.at(-1)?.lastSeq ?? fence.seq);
    for (const entry of entries) this.apply(entry);
    await this.events?.reloaded();
  }

  /** Takes over a checkpoint: blocks now hold everything up to its fence. */
  install(manifest: Manifest, fence: Fence): void {
    assert(fence.seq <= this.#head.seq, "a checkpoint is installed by who has all of it");
    if (fence.seq < this.#fence.seq) return;
    this.#manifest = manifest;
    if (fence.seq > this.#fence.seq) {
      this.memtable.dropThrough(fence.seq);
      this.#log = this.#log.filter((e) => e.lastSeq > fence.seq);
    }
    this.#fence = fence;
  }

  /** Applies what a transaction found in the log's tail. False: the tail does not continue our head; reload. */
  applyTail(entries: readonly LogEntry[]): boolean {
    return entries.every((entry) => this.apply(entry));
  }
}

/** How a write changes the index entries of its record. */
export function entryChanges(
  write: LoggedWrite,
): readonly { readonly key: ByteKey; readonly present: "added" | "removed" | "kept" }[] {
  const now = write.payload === undefined ? [] : indexEntriesOf(write.key, write.payload);
  const old = write.oldEntries;
  if (now.length === 0 && old.length === 0) return [];
  return [
    ...now.map((key) => ({ key, present: old.includes(key) ? ("kept" as const) : ("added" as const) })),
    ...old.filter((key) => !now.includes(key)).map((key) => ({ key, present: "removed" as const })),
  ];
}
