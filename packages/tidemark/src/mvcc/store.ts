/**
 * One tab's copy of the database state: the manifest as of the last checkpoint it knows, the memtable that follows it,
 * and the head of the log. Entries arrive here in order, whoever wrote them: from our own commits, from broadcasts,
 * from reading the log's tail. Each change of state is synchronous; what it needs from storage is read before.
 */
import type { ByteKey, Seq, TabId } from "../base/brand.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import { BlockSource } from "../segments/block-source.ts";
import type { Manifest } from "../segments/manifest.ts";
import type { Storage } from "../storage/contract.ts";
import type { Commit, LogEntry } from "../wal/entry.ts";
import { type Fence, followed, type Head, sameLog, tailReads } from "../wal/log.ts";
import { applyCommit } from "./apply.ts";
import { pinId, repin } from "./holders.ts";
import type { GarbageLedger } from "./ledger.ts";
import { Memtable } from "./memtable.ts";
import { decodeFloorRecord, floorAfter, laterFloor, type ReadFloor } from "./read-floor.ts";
import type { Guarded } from "./read-guard.ts";
import type { ReadState } from "./reader.ts";
import { floorKey } from "./schema.ts";
import { Holds } from "./snapshots.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { Staging } from "../wal/staging.ts";
import { beginIncarnation, lookAtLog, type Remembered } from "./reconnect.ts";
import { join, type Recovered, recover, wholeEntries } from "./recovery.ts";
import { CommitWindow } from "./window.ts";

export interface StoreOptions {
  readonly tab: TabId;
  /** Tabs cannot coordinate: whoever joined last has the database, and finding another incarnation ends this one. */
  readonly isLone: boolean;
  readonly cacheMaxBytes: number;
  /** Makes the database where there is none; absent: there is. */
  readonly create?: (() => Promise<void>) | undefined;
  /** Wall time in ms, to notice that this tab slept. */
  readonly now?: () => number;
}

/** Whoever was not asked for so long may have slept, and been evicted. */
const sleptAfterMs = 1000;

export interface StoreEvents {
  /** The head moved; `touched` are all keys, records and index entries, that these commits wrote. */
  applied(entry: LogEntry, touched: readonly ByteKey[]): void;
  /**
   * Memory is about to be dropped for `state`, read anew, in which anything may differ. What depends on it is read
   * from `state` at `at` now; the answer is called in the same turn in which the state takes effect. `entries` are
   * the log after its checkpoint.
   */
  reloading(state: ReadState, at: Seq, entries: readonly LogEntry[]): Promise<() => void>;
  /** Damage at the end of the log was struck. */
  struck(): void;
  /** This tab's pin was taken from it, or a view found that it is held no more. */
  evicted(): void;
}

export class Store implements ReadState, Guarded {
  readonly storage: Storage;
  readonly tab: TabId;
  readonly blocks: BlockSource;
  readonly staging: Staging;
  /** Of views on snapshots that are open here. */
  readonly holds: Holds = new Holds();
  /** Whether the end of the log was damaged and struck when this tab joined. */
  readonly wasStruck: boolean;
  /** Whether what this tab joined was of an older format: tabs of that build have to hear of it. */
  readonly wasUpgraded: boolean;
  events: StoreEvents | undefined;
  readonly #isLone: boolean;
  readonly #window = new CommitWindow();
  #memtable = new Memtable();
  #ledger: GarbageLedger;
  /** A committed entry that memory has not taken in yet; see `applySoon`. */
  #pending: LogEntry | undefined;
  #manifest: Manifest;
  /** At least that under which the manifest was published: see read-guard.ts. */
  #floor: ReadFloor;
  #fence: Fence;
  #head: Head;
  /** Entries after the fence, with their sizes. */
  #log: LoggedEntry[] = [];
  #logBytes = 0;
  /** How many of them only record a floor. */
  #floorEntries = 0;
  readonly #now: () => number;
  #askedAt: number;
  /** Readings of the stored state take turns. */
  #turns: Promise<unknown> = Promise.resolve();
  #nextFollow: Promise<void> | undefined;
  /** How many connections were admitted: of what was read on an earlier one, the end may be gone. */
  #admissions = 0;

  private constructor(storage: Storage, options: StoreOptions, state: Recovered) {
    this.storage = storage;
    this.tab = options.tab;
    this.#isLone = options.isLone;
    this.staging = new Staging(storage, options.tab);
    this.blocks = new BlockSource(storage, options.cacheMaxBytes);
    this.wasStruck = state.struck;
    this.wasUpgraded = state.upgraded;
    this.#now = options.now ?? always;
    this.#askedAt = this.#now();
    this.#manifest = state.manifest;
    this.#floor = state.floor;
    this.#fence = state.fence;
    this.#head = state.fence;
    this.#ledger = state.ledger;
    for (const entry of state.entries) this.apply(entry);
  }

  /** Joins the database: recovers it and registers this tab's pin. */
  static async open(storage: Storage, options: StoreOptions): Promise<Store> {
    return new Store(storage, options, await join(storage, options.tab, options.isLone, options.create));
  }

  /** What recent commits touched. */
  get window(): CommitWindow {
    this.settle();
    return this.#window;
  }
  get memtable(): Memtable {
    this.settle();
    return this.#memtable;
  }
  /** What garbage there is, in blocks and in memory. */
  get ledger(): GarbageLedger {
    this.settle();
    return this.#ledger;
  }
  get manifest(): Manifest {
    return this.#manifest;
  }
  get checkpoint(): Seq {
    return this.#fence.seq;
  }
  get head(): Head {
    this.settle();
    return this.#head;
  }
  /** The last checkpoint this tab knows of. */
  get fence(): Fence {
    return this.#fence;
  }

  /** The floor as far as this tab has heard. */
  get floor(): ReadFloor {
    this.settle();
    return this.#floor;
  }
  learnFloor(floor: ReadFloor): void {
    this.#floor = laterFloor(this.floor, floor);
  }

  evicted(): void {
    this.events?.evicted();
  }

  /** Whether it is so long since this was asked last that this tab may have slept. */
  hasSlept(): boolean {
    const before = this.#askedAt;
    this.#askedAt = this.#now();
    return this.#askedAt - before > sleptAfterMs;
  }

  /** Sees to it that this tab has a pin, and reads the state anew: what was evicted goes on from there. */
  async rejoin(): Promise<void> {
    await repin(this.storage, this.tab, this.#fence);
    await this.reload();
  }

  /** The log after the fence, as stored; and without entries that only record a floor. */
  get log(): { readonly entries: number; readonly sizeBytes: number; readonly ordinary: number } {
    this.settle();
    const { length: entries } = this.#log;
    return { entries, sizeBytes: this.#logBytes, ordinary: entries - this.#floorEntries };
  }

  /** Where the writes of entries up to `at` lie that do not stand in them. */
  bodiesThrough(at: Seq): readonly OutsideRef[] {
    return this.#log.flatMap(({ end, body }) => (body && end.seq <= at ? [body] : []));
  }

  /** The end of the last entry that ends at `at` or before, or the fence. */
  endBefore(at: number): Head {
    this.settle();
    return this.#log.findLast(({ end }) => end.seq <= at)?.end ?? this.#fence;
  }

  /** The first entries after the fence that take `maxBytes` together, but one at least; there are entries. */
  logWithin(maxBytes: number): { readonly end: Head; readonly sizeBytes: number } {
    let sizeBytes = 0;
    let end: Head = this.#fence;
    for (const entry of this.#log) {
      if (end !== this.#fence && sizeBytes + entry.sizeBytes > maxBytes) break;
      sizeBytes += entry.sizeBytes;
      end = entry.end;
    }
    return { end, sizeBytes };
  }

  /** Applies the entry if it is the next one; tells whether the head is now at or past its end. */
  apply(entry: LogEntry): boolean {
    this.settle();
    if (entry.lastSeq <= this.#head.seq) return true;
    if (!entry.isWhole) return false;
    if (entry.firstSeq !== this.#head.seq + 1 || entry.previous !== this.#head.checksum) return false;
    const all: ByteKey[] = [];
    for (const commit of entry.commits) {
      const touched = applyCommit(this.#memtable, commit, this.#ledger);
      this.#window.add(commit.seq, entry.origin, touched);
      this.#learnFrom(commit);
      for (const key of touched) all.push(key);
    }
    const logged = loggedEntry(entry);
    this.#head = logged.end;
    this.#log.push(logged);
    this.#logBytes += entry.sizeBytes;
    if (logged.isFloor) this.#floorEntries++;
    this.events?.applied(entry, all);
    return true;
  }

  /** Takes note of an advance of the floor, and of who was evicted for it. */
  #learnFrom({ seq: at, writes }: Commit): void {
    const [write] = writes;
    if (write?.key !== floorKey || write.payload === undefined) return;
    const record = decodeFloorRecord(write.payload);
    this.#floor = laterFloor(this.#floor, floorAfter(this.#floor, record, at));
    this.holds.gone(record.evicted);
    if (record.evicted.includes(pinId(this.tab))) this.evicted();
  }

  /**
   * Takes the next entry in before anybody looks, or at `settle`. A large one takes a while to apply, and whoever
   * waits for its commit need not wait for that: every look at memory settles it first.
   */
  applySoon(entry: LogEntry): void {
    this.settle();
    this.#pending = entry;
  }

  settle(): void {
    const entry = this.#pending;
    if (entry === undefined) return;
    this.#pending = undefined;
    this.apply(entry);
  }

  /** Applies what a transaction found in the log's tail. False: the tail does not continue our head; reload. */
  applyTail(entries: readonly LogEntry[]): boolean {
    return entries.every((entry) => this.apply(entry));
  }

  /** Reads what others appended, until the head is the log's own. Calls made before the reading begins share it. */
  follow(): Promise<void> {
    this.#nextFollow ??= this.#inTurn(() => {
      this.#nextFollow = undefined;
      return this.#readTail();
    });
    return this.#nextFollow;
  }

  /** Reads the state anew, as after falling behind a checkpoint. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#readState());
  }

  /**
   * Whether a connection opened anew shows the log that this memory is of. Where it lost entries, memory is replaced by
   * what is there: all of it in this call, since nothing may be served from either before. @throws CLOSED
   */
  async admit(fresh: Storage): Promise<"same" | "changed"> {
    this.#admissions++;
    const { fence, isIntact, isPinned } = await this.#look(fresh);
    this.#refuseForeign(fence);
    if (isIntact && !isPinned) await repin(fresh, this.tab, this.#fence);
    if (isIntact) return "same";
    if (sameLog(fence, this.#fence)) await beginIncarnation(fresh, this.#remembered);
    for (;;) {
      const state = await join(fresh, this.tab, false);
      if (state.struck) this.events?.struck();
      await this.#lookAtHolds(fresh);
      this.blocks.clear();
      if (await this.#replaceBy(state, new BlockSource(fresh, 0))) return "changed";
    }
  }

  /** What was on its way when the connection was lost may still come in meanwhile. */
  async #look(fresh: Storage): ReturnType<typeof lookAtLog> {
    for (;;) {
      const remembered = this.#remembered;
      const shown = await lookAtLog(fresh, remembered);
      if (this.head === remembered.head) return shown;
    }
  }

  async #lookAtHolds(storage: Storage): Promise<void> {
    const floor = await this.holds.look(storage);
    if (floor) this.learnFloor(floor);
  }

  get #remembered(): Remembered {
    return { tab: this.tab, head: this.head, fence: this.#fence };
  }

  #inTurn<T>(read: () => Promise<T>): Promise<T> {
    const done = this.#turns.then(read);
    this.#turns = done.catch(() => undefined);
    return done;
  }

  async #readTail(): Promise<void> {
    const admissions = this.#admissions;
    const { head, fence } = this;
    const tail = followed(await this.storage.read(tailReads(head.seq)), head, fence);
    const entries =
      tail.status === "reload" || tail.broken ? undefined : await wholeEntries(this.storage, tail.entries);
    if (entries === undefined || admissions !== this.#admissions) return this.#readState();
    for (const entry of entries) this.apply(entry);
  }

  async #readState(): Promise<void> {
    for (;;) {
      const admissions = this.#admissions;
      const state = await recover(this.storage, this.#manifest);
      if (state.struck) this.events?.struck();
      await this.#lookAtHolds(this.storage);
      if (admissions !== this.#admissions) continue;
      this.#refuseForeign(state.fence);
      if (sameLog(state.fence, this.#fence) && state.fence.seq <= this.head.seq) {
        // We know everything up to the checkpoint: keep the memtable's rest, and who touched what.
        this.learnFloor(state.floor);
        this.install(state.manifest, state.fence, state.ledger);
        this.blocks.keepListed(this.#manifest.filled);
        for (const entry of state.entries) this.apply(entry);
        return;
      }
      if (await this.#replaceBy(state)) return;
    }
  }

  /** @throws CLOSED when what is stored is not, or no longer, ours to go on with. */
  #refuseForeign(fence: Fence): void {
    if (fence.database !== this.#fence.database) {
      throw new TidemarkError("CLOSED", "This database was deleted by another tab", { reason: "deleted" });
    }
    if (this.#isLone && !sameLog(fence, this.#fence)) {
      throw new TidemarkError("CLOSED", "Another tab has opened this database", { reason: "superseded" });
    }
  }

  /** Drops memory for a state read anew. False: that state, or ours, is not what it was; read once more. */
  async #replaceBy({ fence, manifest, ledger, entries, floor }: Recovered, blocks = this.blocks): Promise<boolean> {
    this.settle();
    const [before, admissions] = [this.#fence, this.#admissions];
    const memtable = new Memtable();
    for (const entry of entries) for (const commit of entry.commits) applyCommit(memtable, commit, ledger);
    const log = entries.map(loggedEntry);
    const head = log.at(-1)?.end ?? fence;
    const state = { memtable, manifest, checkpoint: fence.seq, blocks, reload: goneAlready };
    const takeEffect = await this.#dependents(state, head.seq, entries);
    if (takeEffect === undefined || this.#fence !== before || this.#admissions !== admissions) return false;
    this.#memtable = memtable;
    this.#ledger = ledger;
    this.#manifest = manifest;
    this.blocks.keepListed(manifest.filled);
    this.#floor = sameLog(fence, before) ? laterFloor(this.#floor, floor) : floor;
    this.#fence = fence;
    this.#head = head;
    this.#keepLog(log);
    this.#window.restart(head.seq);
    takeEffect();
    return true;
  }

  async #dependents(state: ReadState, at: Seq, entries: readonly LogEntry[]): Promise<(() => void) | undefined> {
    try {
      return (await this.events?.reloading(state, at, entries)) ?? nothing;
    } catch (e) {
      if (e instanceof StateIsOld) return undefined;
      throw e;
    }
  }

  #keepLog(entries: LoggedEntry[]): void {
    this.#log = entries;
    this.#logBytes = entries.reduce((n, e) => n + e.sizeBytes, 0);
    this.#floorEntries = entries.filter((e) => e.isFloor).length;
  }

  /**
   * Takes over a manifest, whose blocks hold everything up to the fence, and the ledger as of that. An older one than ours
   * is let be, or another log's.
   */
  install(manifest: Manifest, fence: Fence, ledger: GarbageLedger): void {
    this.settle();
    if (!sameLog(fence, this.#fence)) return;
    assert(fence.seq <= this.#head.seq, "a checkpoint is installed by who has all of it");
    if (fence.seq < this.#fence.seq || manifest.version < this.#manifest.version) return;
    this.#manifest = manifest;
    this.#ledger.take(ledger);
    if (fence.seq > this.#fence.seq) {
      this.#memtable.dropThrough(fence.seq);
      this.#keepLog(this.#log.filter((e) => e.end.seq > fence.seq));
    }
    this.#fence = fence;
  }
}

/** What is remembered of an entry once it is applied. */
interface LoggedEntry extends Pick<LogEntry, "sizeBytes" | "body"> {
  /** The head once it is applied. */
  readonly end: Head;
  /** Whether all it does is to record a floor. */
  readonly isFloor: boolean;
}

const loggedEntry = ({ lastSeq, checksum, commits, sizeBytes, body }: LogEntry): LoggedEntry => ({
  end: { seq: lastSeq, checksum, stamp: commits.at(-1)!.stamp },
  sizeBytes,
  body,
  isFloor: commits.every(({ writes }) => writes.every((w) => w.key === floorKey)),
});

const nothing = (): void => undefined;
const always = (): number => 0;
class StateIsOld extends TidemarkError {
  constructor() {
    super("BUSY", "The state read was replaced while it was read");
  }
}
const goneAlready = (): Promise<void> => Promise.reject(new StateIsOld());
