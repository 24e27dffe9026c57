/**
 * A small deterministic world for tests: several tabs, each a whole engine, on one medium in memory. Nothing happens
 * by itself: a tab hears of commits and does upkeep only when the test says so.
 */
import { type ByteKey, byteKey, type Seq, seq, type TableId, type TabId, tabId } from "./base/brand.ts";
import { ByteWriter } from "./base/bytes.ts";
import type { Clock, Random } from "./base/clock.ts";
import { isTidemarkError, type TidemarkError } from "./base/errors.ts";
import { encodeIndexKey, encodeKey } from "./codec/key.ts";
import {
  recordValue,
  tablePrefix,
  type WriteBatch,
  type WriteKind,
  writeRecordHead,
  writeWriteHead,
} from "./codec/record.ts";
import type { Retention } from "./codec/retention.ts";
import type { Definition } from "./codec/schema.ts";
import { decodeValue, encodeValue } from "./codec/value.ts";
import { unpackValues } from "./codec/values.ts";
import { tableRange } from "./collections/catalog.ts";
import { Database } from "./collections/database.ts";
import { define } from "./collections/define.ts";
import { scanRecords } from "./collections/scan.ts";
import { type Checkpointed, checkpoint } from "./gc/checkpoint.ts";
import { compact } from "./gc/compact.ts";
import { type Advance, type Advanced, advanceFloor, basisOf, deadTabs } from "./gc/floor.ts";
import { defaultWork, type WorkOptions } from "./gc/work.ts";
import { reclaim } from "./gc/reclaim.ts";
import { Tenure } from "./gc/tenure.ts";
import type { Handle } from "./mvcc/handles.ts";
import type { Range } from "./mvcc/read-set.ts";
import { create } from "./mvcc/recovery.ts";
import { floorKey, type Schema } from "./mvcc/schema.ts";
import type { Storage, Write } from "./storage/contract.ts";
import { createMemoryStorage, type KeepRelaxed, type MemoryMedium, type MemoryOptions } from "./storage/memory.ts";
import { ReopeningStorage } from "./storage/reopening.ts";
import { randomFrom } from "./testing/random.ts";
import { decodeEntry } from "./wal/entry.ts";
import { decodeFence } from "./wal/log.ts";

export interface Item {
  readonly id: string;
  /** Indexed. */
  readonly at?: number;
  /** Indexed, and nobody else may have it. */
  readonly slug?: string;
  readonly n: number;
  /** Makes records large, so that chains run over block borders. */
  readonly pad?: string;
}

export const databaseName = "world";
const definitionWith = ({ retention, keepForMs }: Pick<WorldOptions, "retention" | "keepForMs">): Definition => ({
  version: 1,
  ...(keepForMs === undefined ? {} : { keepForMs }),
  dropCollections: [],
  collections: {
    items: {
      key: "id",
      indexes: {
        at: { path: "at", unique: false, multi: false },
        slug: { path: "slug", unique: true, multi: false },
      },
      ...(retention && { retention }),
    },
  },
});

export interface Tab {
  readonly id: TabId;
  readonly storage: Storage;
  readonly database: Database;
  /** Entries it committed, as it would broadcast them. */
  readonly sent: Uint8Array[];
  /** Errors it reported as damage. */
  readonly damage: TidemarkError[];
  tenure: Tenure | undefined;
}

export interface WorldOptions extends MemoryOptions {
  readonly sleep?: Clock["sleep"];
  readonly cacheMaxBytes?: number;
  /** Lost connections are opened anew, as by a host. */
  readonly reopens?: boolean;
  /** Default: blocks and levels so small that a few records fill several. */
  readonly rewrite?: WorkOptions;
  /** Which superseded items are kept. */
  readonly retention?: Retention | undefined;
  /** For how long those of all collections are. */
  readonly keepForMs?: number | undefined;
  /** Hears of every batch as it takes effect. */
  readonly heard?: (writes: readonly Write[]) => void;
  /** What lies between a tab and its medium. */
  readonly connect?: (storage: Storage, tab: TabId) => Storage;
}

export class World {
  readonly medium: MemoryMedium;
  readonly clock: Clock;
  readonly random: Random;
  /** Tabs whose lock is held. */
  readonly live = new Set<TabId>();
  /** Seqs of commits that record the floor. */
  readonly floors = new Set<Seq>();
  readonly #options: WorldOptions;
  #fence: Seq = seq(0);
  #now = 1_700_000_000_000;
  #ids = 0;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.medium = createMemoryStorage(options);
    this.medium.onWritten = (writes) => {
      options.heard?.(writes);
      for (const w of writes) this.#note(w);
    };
    this.clock = { now: () => this.#now++, sleep: options.sleep ?? (() => Promise.resolve()) };
    this.random = { next: () => 0.5, id: () => `tab${++this.#ids}` };
  }

  /** Opens another tab, as a host would. `connect`: what lies between this one and its medium. */
  async open(connect = this.#options.connect): Promise<Tab> {
    const id = tabId(this.random.id());
    this.live.add(id);
    const opened = await this.medium.open(databaseName);
    const lasting = this.#options.reopens === true ? this.#lasting(opened) : undefined;
    const storage = lasting ?? connect?.(opened, id) ?? opened;
    await create(storage, this.random);
    const sent: Uint8Array[] = [];
    const damage: TidemarkError[] = [];
    const seams = {
      storage,
      tab: id,
      clock: this.clock,
      retryPeers: { takeToken: () => Promise.resolve(() => undefined), askForCourtesy: () => undefined },
      isLone: false,
    };
    const database = await Database.open(seams, this.#options.cacheMaxBytes ?? 1 << 20, {
      committed: (_, bytes) => sent.push(bytes),
      advanced: () => undefined,
      released: () => undefined,
      touched: () => undefined,
      catalogChanged: () => undefined,
      damaged: (error) => damage.push(error),
    });
    if (lasting) lasting.admit = (fresh) => database.store.admit(fresh);
    await define(database, definitionWith(this.#options));
    return { id, storage, database, sent, damage, tenure: undefined };
  }

  #lasting(opened: Storage): ReopeningStorage {
    return new ReopeningStorage(opened, {
      reopen: () => this.medium.reopen(databaseName),
      // The medium always answers: nobody waits for so long that it did not.
      sleep: (ms) => (ms >= 10_000 ? new Promise(() => undefined) : this.clock.sleep(ms)),
    });
  }

  /** How many commits up to `head` are not upkeep's own records of the floor. */
  commitsThrough(head: number): number {
    return head - [...this.floors].filter((at) => at <= head).length;
  }

  #note(done: Write): void {
    if (done.store !== "log" || (done.kind !== "add" && done.kind !== "put")) return;
    if ((done.key as number) < 0) return; // kept for a consumer
    if (done.kind === "put") return void (this.#fence = decodeFence(done.value).seq);
    const { firstSeq, lastSeq } = decodeEntry(done.value);
    if (firstSeq <= this.#fence) return; // void
    for (let at = firstSeq; at <= lastSeq; at = seq(at + 1)) this.floors.delete(at);
    if (isFloorEntry(done)) this.floors.add(firstSeq);
  }

  /** Runs `work` in two tabs until the medium dies: at its step `dieAt`, or else when the work is done. */
  async untilCrash(
    dieAt: number,
    keepRelaxed: KeepRelaxed,
    work: (tabs: readonly [Tab, Tab]) => Promise<void>,
  ): Promise<void> {
    const { medium } = this;
    medium.onStep = ({ n }) => {
      if (n === dieAt) medium.crash({ keepRelaxed });
      return "go";
    };
    try {
      await work([await this.open(), await this.open()]);
      medium.crash({ keepRelaxed });
    } catch (e) {
      if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
    }
    medium.onStep = undefined;
    this.live.clear();
  }

  /** The tab dies without a word; its lock becomes free. */
  kill(tab: Tab): void {
    this.live.delete(tab.id);
    void tab.storage.close();
  }

  /** Raises the tab's pin, as it does when upkeep asks it to. */
  raise({ database }: Tab): Promise<void> {
    return database.raisePin();
  }

  /** Advances the floor as upkeep does; `terms`: what is not as usual. */
  async advance(tab: Tab, terms: Partial<Advance> = {}): Promise<Advanced | undefined> {
    tab.tenure ??= await Tenure.begin(tab.storage);
    const dead = await deadTabs(tab.storage, () => Promise.resolve(new Set(this.live)));
    return advanceFloor(tab.database, tab.tenure, { proof: "floor", dead, ...terms });
  }

  /** Time passes for everybody. */
  pass(ms: number): void {
    this.#now += ms;
  }

  /** What the upkeep tab does when a checkpoint is due. `answering` are the other tabs that raise their pins in time. */
  async upkeep(tab: Tab, answering: readonly Tab[] = []): Promise<Checkpointed | undefined> {
    tab.tenure ??= await Tenure.begin(tab.storage);
    await this.raise(tab);
    await Promise.all(answering.map((other) => this.raise(other)));
    const advanced = await this.advance(tab);
    const basis = advanced && basisOf(advanced, tab.database.store.fence, this.clock.now());
    const { store } = tab.database;
    const { rewrite = smallLevels } = this.#options;
    const done = basis === undefined ? undefined : await checkpoint(store, tab.tenure, basis, rewrite);
    const steps = done ? stepsPerUpkeep : 0;
    for (let step = 0; step < steps; step++) {
      while ((await reclaim(store, tab.tenure, basis!, rewrite)) !== undefined);
      await compact(store, tab.tenure, basis!, rewrite);
    }
    if (!done) await tab.database.store.reload();
    if (tab.tenure.isDeposed) tab.tenure = undefined;
    return done;
  }
}

function isFloorEntry(done: Write): boolean {
  if (done.kind !== "add" || done.store !== "log") return false;
  const { isWhole, commits } = decodeEntry(done.value);
  return isWhole && commits.every(({ writes }) => writes.length > 0 && writes.every((w) => w.key === floorKey));
}

export const smallLevels: WorkOptions = {
  ...defaultWork,
  targetBytes: 300,
  maxStoreBytes: 700,
  levels: { minLevelBytes: 500, maxStepBytes: 900 },
};
const stepsPerUpkeep = 2;

interface Tables {
  readonly items: TableId;
  readonly at: TableId;
  readonly slug: TableId;
}

/** By the schema of a view or transaction, or the one in force in a tab. */
function tablesOf({ schema }: { readonly schema: Schema }): Tables {
  const { table, indexes } = schema.catalog.collections["items"]!;
  return { items: table, at: indexes["at"]!.table, slug: indexes["slug"]!.table };
}

const keyOf = (tables: Tables, id: string): ByteKey => byteKey(tablePrefix(tables.items) + encodeKey(id, "items.id"));

/** Index entries with from ≤ at < to. */
const atRange = (tables: Tables, from: number, to: number): Range => ({
  from: byteKey(tablePrefix(tables.at) + encodeIndexKey(from, "items.at")),
  to: byteKey(tablePrefix(tables.at) + encodeIndexKey(to, "items.at")),
});

export interface Change {
  readonly kind: WriteKind;
  readonly id: string;
  /** Absent for a delete. */
  readonly item?: Item;
}

export const put = (item: Item): Change => ({ kind: "put", id: item.id, item });
export const add = (item: Item): Change => ({ kind: "add", id: item.id, item });
export const del = (id: string): Change => ({ kind: "delete", id });

/** Changes as a page sends them. */
function encodeChanges(tables: Tables, changes: readonly Change[]): Uint8Array {
  const out = new ByteWriter();
  for (const { kind, id, item } of changes) {
    const payload = item === undefined ? undefined : payloadOf(tables, item);
    writeWriteHead(out, kind, keyOf(tables, id), payload?.length ?? 0);
    if (payload) out.bytes(payload);
  }
  return out.finish();
}

function payloadOf(tables: Tables, item: Item): Uint8Array {
  const keys: ByteKey[] = [];
  if (item.at !== undefined) keys.push(byteKey(tablePrefix(tables.at) + encodeIndexKey(item.at, "items.at")));
  if (item.slug !== undefined) keys.push(byteKey(tablePrefix(tables.slug) + encodeIndexKey(item.slug, "items.slug")));
  const out = new ByteWriter();
  writeRecordHead(out, keys);
  encodeValue(item, out, "items");
  return out.finish();
}

const itemIn = (payload: Uint8Array): Item => decodeValue(recordValue(payload)) as Item;

export const batchOf = (view: { readonly schema: Schema }, changes: readonly Change[]): WriteBatch => ({
  writes: encodeChanges(tablesOf(view), changes),
});

/** Commits changes that depend on nothing read; again where the schema changed meanwhile, as a page does. */
export async function write(
  tab: Tab,
  changes: readonly Change[],
  durability: "relaxed" | "strict" = "relaxed",
): ReturnType<Database["write"]> {
  for (;;) {
    const { schema } = tab.database;
    try {
      return await tab.database.write(batchOf({ schema }, changes), schema.epoch, durability, "");
    } catch (e) {
      if (!isTidemarkError(e, "CONFLICT")) throw e;
    }
  }
}

const everything = { skip: 0, limit: undefined, once: undefined, wants: "values", maxBytes: Infinity } as const;

/** All items a view sees, in key order. */
export async function itemsIn(view: Handle, reverse = false): Promise<Item[]> {
  const query = { ranges: [tableRange(tablesOf(view).items)], records: undefined, reverse, ...everything };
  return unpackValues((await scanRecords(view, query)).values!) as Item[];
}

/** The items with from ≤ at < to that a view finds by index, in index order. */
export async function itemsAt(view: Handle, from: number, to: number, reverse = false): Promise<Item[]> {
  const tables = tablesOf(view);
  const query = { ranges: [atRange(tables, from, to)], records: tables.items, reverse, ...everything };
  return unpackValues((await scanRecords(view, query)).values!) as Item[];
}

export async function itemOf(view: Handle, id: string): Promise<Item | undefined> {
  const [payload] = await view.getMany([keyOf(tablesOf(view), id)]);
  return payload && itemIn(payload);
}

export async function stage(tab: Tab, tx: Handle, changes: readonly Change[]): Promise<void> {
  await tab.database.stage(tx, tx.schema.epoch, batchOf(tx, changes));
}

/** Empties the collection in a transaction. */
export async function clear(tab: Tab, tx: Handle): Promise<void> {
  await tab.database.clear(tx, tx.schema.epoch, "items");
}

/** Stages and commits a transaction, and ends it. */
export async function commit(
  tab: Tab,
  handle: number,
  changes: readonly Change[],
  durability: "relaxed" | "strict" = "relaxed",
): ReturnType<Database["commit"]> {
  const { database } = tab;
  try {
    const tx = await database.handle(handle);
    if (changes.length > 0) await stage(tab, tx, changes);
    return await database.commit(tx, durability, "");
  } finally {
    await database.end(handle);
  }
}

/** Nothing that a test does takes so many. */
const maxTurns = 100_000;

/** Lets one waiting call after the other go on, in an order drawn from a seed; finds out when nothing can. */
export class Turns {
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];
  readonly pause = (): Promise<void> =>
    new Promise((resolve) => {
      this.#waiting.push(resolve);
    });

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  async until<T>(work: Promise<T>): Promise<T> {
    let running = true;
    const ended = work.finally(() => (running = false));
    ended.catch(() => undefined); // reported by who awaits it, below
    for (let idle = 0, turns = 0; ; turns++) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (!running) return ended;
      if (turns > maxTurns) throw new Error("it goes round in circles");
      const [go] = this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1);
      go?.();
      idle = go ? 0 : idle + 1;
      if (idle > 3) throw new Error("it hangs: somebody waits, and nothing is under way");
    }
  }
}

/** The calls of one connection are answered in the order in which they were made, as by IndexedDB. */
export function inOrder(storage: Storage): Storage {
  let last: Promise<unknown> = Promise.resolve();
  const answer = async <T>(call: Promise<T>): Promise<T> => {
    const before = last;
    last = Promise.allSettled([before, call]);
    await before;
    return await call;
  };
  return {
    read: (reads) => answer(storage.read(reads)),
    commit: (batch) => answer(storage.commit(batch)),
    close: () => storage.close(),
  };
}
