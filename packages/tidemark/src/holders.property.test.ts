import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { test } from "vitest";
import type { Seq } from "./base/brand.ts";
import { isTidemarkError } from "./base/errors.ts";
import type { Handle } from "./mvcc/handles.ts";
import { holdersIn, pinId, readHolders } from "./mvcc/holders.ts";
import { floorIn, readFloor } from "./mvcc/read-floor.ts";
import { decodeEntry } from "./wal/entry.ts";
import {
  type Change,
  del,
  inOrder,
  type Item,
  itemOf,
  itemsAt,
  itemsIn,
  put,
  type Tab,
  Turns,
  World,
  write,
} from "./test-world.test-support.ts";

/** The trivially correct model: all commits, and what was seen at which seq. */
class Model {
  readonly #commits = new Map<number, readonly Change[]>();
  readonly #seen: { readonly at: Seq; readonly what: string; readonly items: readonly Item[] }[] = [];
  /** Rows that somebody set out to evict. */
  readonly evicted = new Set<string>();

  committed(at: Seq, changes: readonly Change[]): void {
    this.#commits.set(at, changes);
  }

  saw(at: Seq, what: string, items: readonly Item[]): void {
    this.#seen.push({ at, what, items });
  }

  at(seq: number): readonly Item[] {
    const state = new Map<string, Item>();
    for (const [, changes] of [...this.#commits].filter(([made]) => made <= seq).toSorted(([a], [b]) => a - b)) {
      for (const { id, item } of changes) {
        if (item) state.set(id, item);
        else state.delete(id);
      }
    }
    return [...state.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Every view saw what was committed up to its seq, and nothing else. */
  check(): void {
    for (const { at, what, items } of this.#seen) deepStrictEqual(items, this.at(at), `${what}, at ${at}`);
  }
}

const ids = ["a", "b", "c", "d"];
const id = fc.constantFrom(...ids);
const name = fc.constantFrom("s", "t", "ü/\u{1f30a}~");
const which = fc.nat(20);
const pad = fc.constantFrom(0, 20, 400);
const op = <O extends string, F extends object>(o: O, fields: { [K in keyof F]: fc.Arbitrary<F[K]> }) =>
  fc.record({ op: fc.constant(o), ...fields }) as unknown as fc.Arbitrary<{ readonly op: O } & F>;

const anyOperation = fc.oneof(
  { weight: 6, arbitrary: op<"put", { id: string; pad: number }>("put", { id, pad }) },
  { weight: 2, arbitrary: op<"delete", { id: string }>("delete", { id }) },
  { weight: 3, arbitrary: op<"view", { fresh: boolean }>("view", { fresh: fc.boolean() }) },
  { weight: 6, arbitrary: op<"read", { which: number; id: string }>("read", { which, id }) },
  { weight: 2, arbitrary: op("plain", {}) },
  { weight: 2, arbitrary: op<"release", { which: number }>("release", { which }) },
  { weight: 2, arbitrary: op<"create", { name: string }>("create", { name }) },
  { weight: 3, arbitrary: op<"open", { name: string }>("open", { name }) },
  { weight: 2, arbitrary: op<"drop", { name: string }>("drop", { name }) },
  { weight: 5, arbitrary: op<"upkeep", { answering: number[] }>("upkeep", { answering: fc.subarray([0, 1, 2]) }) },
  { weight: 3, arbitrary: op<"evict", { which: number }>("evict", { which }) },
  { weight: 2, arbitrary: op("hear", {}) },
  { weight: 1, arbitrary: op("sleep", {}) },
  { weight: 1, arbitrary: op("reload", {}) },
  { weight: 1, arbitrary: op("die", {}) },
);
type Operation = typeof anyOperation extends fc.Arbitrary<infer T> ? T : never;

class Play {
  readonly turns: Turns;
  readonly world: World;
  readonly model = new Model();
  readonly #tabs: Tab[] = [];
  readonly #views: Handle[][] = [];
  readonly #sent: Uint8Array[][] = [];
  #floor = 0;
  #n = 0;
  #handles = 0;

  constructor(seed: number) {
    this.turns = new Turns(seed);
    const { pause } = this.turns;
    this.world = new World({ pause, sleep: pause, connect: inOrder, cacheMaxBytes: 2000 });
  }

  async open(position: number): Promise<void> {
    const tab = await this.world.open();
    this.#tabs[position] = tab;
    this.#views[position] = [];
    this.#sent.push(tab.sent);
  }

  async lane(position: number, operations: readonly Operation[]): Promise<void> {
    for (const operation of operations) {
      const tab = this.#tabs[position]!;
      try {
        await this.#do(tab, position, operation);
      } catch (e) {
        const isOver = !this.world.live.has(tab.id) && isTidemarkError(e, "CLOSED");
        if (!isOver && !isTidemarkError(e, "CONSTRAINT") && !isTidemarkError(e, "NOT_FOUND")) throw e;
      }
    }
  }

  async #do(tab: Tab, position: number, o: Operation): Promise<void> {
    const { database } = tab;
    const views = this.#views[position]!;
    switch (o.op) {
      case "put":
        return this.#write(tab, put({ id: o.id, n: ++this.#n, at: this.#n % 3, pad: "p".repeat(o.pad) }));
      case "delete":
        return this.#write(tab, del(o.id));
      case "view":
        views.push(await database.begin(++this.#handles, this.#kind(o.fresh)));
        return undefined;
      case "open":
        views.push(await database.begin(++this.#handles, { ...this.#kind(false), snapshot: o.name }));
        return undefined;
      case "read":
        return this.#read(tab, views[o.which % Math.max(1, views.length)], o.id);
      case "plain":
        return database.reading(0, database.schema.epoch, async (view) => {
          this.model.saw(view.seq, `read at the head of ${tab.id}`, await itemsIn(view));
        });
      case "release": {
        const [view] = views.splice(o.which % Math.max(1, views.length), 1);
        return view && this.#release(tab, view);
      }
      case "create": {
        const before = this.#floor;
        const { seq } = await database.snapshots.create(o.name);
        ok(seq >= before, "no snapshot is made below the floor");
        return undefined;
      }
      case "drop":
        return database.snapshots.delete(o.name);
      case "upkeep":
        return this.#maintain(tab, o.answering);
      case "evict":
        return this.#evict(tab, o.which);
      case "hear":
        for (const bytes of this.#sent.flat()) database.store.apply(decodeEntry(bytes));
        return undefined;
      case "sleep":
        this.world.pass(1500);
        return undefined;
      case "reload":
        return database.store.reload();
      default:
        this.world.kill(tab);
        return this.open(position);
    }
  }

  #kind(fresh: boolean) {
    return { tracked: false, isolation: "snapshot", fresh, attempt: 0 } as const;
  }

  async #write(tab: Tab, change: Change): Promise<void> {
    const done = await write(tab, [change]);
    if (change.item || done.existed[0]) this.model.committed(done.seq, [change]);
  }

  /** Right, or evicted; and evicted only where somebody did it. */
  async #read(tab: Tab, view: Handle | undefined, key: string): Promise<void> {
    if (!view) return;
    try {
      const one = await itemOf(view, key);
      const all = await itemsIn(view);
      this.model.saw(view.seq, `all in a view of ${tab.id}`, all);
      deepStrictEqual(
        one,
        all.find((i) => i.id === key),
      );
      const by = (item: Item): number => item.at ?? 0;
      deepStrictEqual(
        await itemsAt(view, 0, 9),
        all.toSorted((a, b) => by(a) - by(b)),
      );
    } catch (e) {
      if (!isTidemarkError(e, "READ_VIEW_EVICTED")) throw e;
      ok(e.details["viewSeq"] === view.seq && typeof e.details["evictedBy"] === "string");
      const rows = [pinId(tab.id), ...(view.hold ? [view.hold.id] : [])];
      ok(
        rows.some((row) => this.model.evicted.has(row)), // its pin's eviction takes holds too
        `${tab.id} was evicted at ${view.seq} by nobody`,
      );
    }
  }

  async #release(tab: Tab, view: Handle): Promise<void> {
    for (let handle = this.#handles; handle > 0; handle--) {
      const found = await tab.database.handle(handle).catch(() => undefined);
      if (found === view) return tab.database.end(handle);
    }
  }

  async #maintain(tab: Tab, answering: readonly number[]): Promise<void> {
    const others = answering
      .map((i) => this.#tabs[i]!)
      .filter((other) => other !== tab && this.world.live.has(other.id));
    const raised = others.map((other) => this.world.raise(other).catch(unlessClosed));
    await this.world.upkeep(tab).catch(unlessClosed);
    await Promise.all(raised);
    await this.#lookAtFloor(tab);
  }

  /** Evicts one that is far behind, as if its tab slept, and collects what it held back. */
  async #evict(tab: Tab, n: number): Promise<void> {
    const holders = holdersIn(await tab.storage.read(readHolders)).filter((h) => h.kind !== "snapshot");
    const holder = holders.toSorted((a, b) => a.seq - b.seq)[n % Math.min(2, Math.max(1, holders.length))];
    if (!holder) return;
    this.model.evicted.add(holder.id);
    await this.world.advance(tab, { evict: new Set([holder.id]), by: tab.id });
    await this.#lookAtFloor(tab);
    const awake = [0, 1, 2].filter((i) => this.#tabs[i]?.id !== holder.owner);
    for (let round = 0; round < 3; round++) await this.#maintain(tab, awake);
  }

  /** It never falls, and is at most what any holder reads at. */
  async #lookAtFloor(tab: Tab): Promise<void> {
    const before = this.#floor;
    const [row, ...rows] = await tab.storage.read([readFloor, ...readHolders]);
    const { seq: floor } = floorIn(row);
    ok(floor >= before, `the floor fell from ${before} to ${floor}`);
    this.#floor = Math.max(this.#floor, floor);
    for (const { id: row_, seq } of holdersIn(rows)) ok(floor <= seq, `the floor is ${floor}, and ${row_} at ${seq}`);
  }

  async finish(): Promise<void> {
    for (const [position, tab] of this.#tabs.entries()) {
      for (const view of this.#views[position]!) await this.#read(tab, view, "a");
    }
    const last = await this.world.open();
    for (let round = 0; round < 2; round++) {
      await this.world.upkeep(last);
      for (const { name: kept, seq } of await last.database.snapshots.list()) {
        const view = await last.database.begin(++this.#handles, { ...this.#kind(false), snapshot: kept });
        deepStrictEqual(view.seq, seq);
        await this.#read(last, view, "a");
      }
      const view = await last.database.begin(++this.#handles, this.#kind(true));
      this.model.saw(view.seq, "all at the end", await itemsIn(view));
    }
    this.model.check();
  }
}

const unlessClosed = (e: unknown): void => {
  if (!isTidemarkError(e, "CLOSED")) throw e;
};

async function played(seed: number, lanes: readonly (readonly Operation[])[]): Promise<void> {
  const play = new Play(seed);
  await play.turns.until(
    (async () => {
      for (const position of [0, 1, 2]) await play.open(position);
      await Promise.all(lanes.map((operations, position) => play.lane(position, operations)));
      await play.finish();
    })(),
  );
}

const lane = fc.array(anyOperation, { minLength: 5, maxLength: 25, size: "max" });

test(
  "[VG3][VG8][TB4][TB5][MV2] whoever pins, snapshots, dies, is evicted or wakes: a view reads what is right, or that it was evicted",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.tuple(lane, lane, lane), async (seed, lanes) => {
        await played(seed, lanes);
      }),
      { numRuns: 300 },
    );
  },
);
