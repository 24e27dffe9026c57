import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Seq, seq } from "./base/brand.ts";
import { isTidemarkError } from "./base/errors.ts";
import { defaultWork } from "./gc/work.ts";
import type { Isolation } from "./mvcc/group.ts";
import type { Handle } from "./mvcc/handles.ts";
import type { Storage } from "./storage/contract.ts";
import { decodeEntry } from "./wal/entry.ts";
import {
  add,
  type Change,
  clear,
  commit,
  del,
  inOrder,
  type Item,
  itemOf,
  itemsAt,
  itemsIn,
  put,
  stage,
  type Tab,
  Turns,
  World,
  write,
} from "./test-world.test-support.ts";

/** What was seen: the question can be put to the model at any seq. */
interface Observation {
  readonly seen: unknown;
  ask(state: State): unknown;
}
type State = ReadonlyMap<string, Item>;

const byId = (a: Item, b: Item) => (a.id < b.id ? -1 : 1);
const all = (state: State) => [...state.values()].sort(byId);
const within = (from: number, to: number) => (state: State) =>
  all(state)
    .filter((i) => i.at !== undefined && i.at >= from && i.at < to)
    .sort((a, b) => a.at! - b.at! || byId(a, b));

const shown = (x: unknown) => JSON.stringify(x, (k, v: unknown) => (k === "pad" ? undefined : v));

/** The trivially correct model: a list of commits. */
class Model {
  readonly #commits = new Map<Seq, readonly Change[]>();
  /** Commits that empty the collection before their changes take effect. */
  readonly #clearings = new Set<Seq>();
  /** By the seq at which they have to hold. */
  readonly #observed: { readonly at: Seq; readonly what: string; readonly observation: Observation }[] = [];

  committed(
    at: Seq,
    changes: readonly Change[],
    existed: readonly boolean[],
    reads: readonly Observation[] = [],
  ): void {
    if (changes.every((c, i) => c.kind === "delete" && !existed[i])) return;
    ok(!this.#commits.has(at), `two commits at ${at}`);
    this.#commits.set(at, changes);
    const before = seq(at - 1);
    for (const observation of reads) this.observe(before, `read by the commit at ${at}`, observation);
    changes.forEach(({ id }, i) => {
      this.observe(before, `${id} existed before ${at}`, { seen: existed[i], ask: (s) => s.has(id) });
    });
  }

  cleared(at: Seq, changes: readonly Change[], reads: readonly Observation[]): void {
    ok(!this.#commits.has(at), `two commits at ${at}`);
    this.#commits.set(at, changes);
    this.#clearings.add(at);
    for (const observation of reads) this.observe(seq(at - 1), `read by the clearing at ${at}`, observation);
  }

  observe(at: Seq, what: string, observation: Observation): void {
    this.#observed.push({ at, what, observation });
  }

  /** Checks everything that was seen; returns the state at the head. */
  check(head: Seq, floors: ReadonlySet<Seq>): State {
    const state = new Map<string, Item>();
    this.#observed.sort((a, b) => a.at - b.at);
    let next = 0;
    for (let at = 0; at <= head; at++) {
      ok(at < 2 || this.#commits.has(seq(at)) !== floors.has(seq(at)), `a commit at ${at} that nobody made`);
      if (this.#clearings.has(seq(at))) state.clear();
      for (const { id, item } of this.#commits.get(seq(at)) ?? []) {
        if (item) state.set(id, item);
        else state.delete(id);
      }
      const slugs = all(state).flatMap((i) => i.slug ?? []);
      strictEqual(new Set(slugs).size, slugs.length, `unique slugs at ${at}`);
      for (; this.#observed[next]?.at === at; next++) {
        const { what, observation } = this.#observed[next]!;
        const expected = observation.ask(state);
        deepStrictEqual(
          observation.seen,
          expected,
          `${what}, at ${at}: ${shown(observation.seen)}, not ${shown(expected)}`,
        );
      }
    }
    strictEqual(next, this.#observed.length, "nothing was seen past the head");
    strictEqual(this.#commits.size + floors.size, Math.max(0, head - 1), "nothing was committed past the head");
    return state;
  }
}

const ids = ["a", "b", "c", "d", "e"];
const id = fc.constantFrom(...ids);
const at = fc.option(fc.nat(5), { nil: undefined });
const slug = fc.option(fc.constantFrom("x", "y"), { nil: undefined, freq: 3 });
const pad = fc.constantFrom(0, 0, 20, 9000);
const isolation = fc.constantFrom<Isolation>("serializable", "snapshot");
const range = fc.tuple(fc.nat(5), fc.nat(6)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));

/** Which tabs raise their pins in time: as a rule all of them. */
const whoAnswers = fc.oneof(
  { weight: 3, arbitrary: fc.constant([0, 1, 2]) },
  { weight: 1, arbitrary: fc.subarray([0, 1, 2]) },
);

const anyOperation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom("put" as const, "add" as const), id, at, slug, pad }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("delete" as const), ids: fc.uniqueArray(id, { minLength: 1 }) }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("increment" as const), id, isolation }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("census" as const), id, at, range, isolation }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("clear" as const),
      before: at,
      id,
      at,
      slug,
      isReading: fc.boolean(),
      isolation,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("view" as const), id, range, fresh: fc.boolean(), turns: fc.nat(40) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("upkeep" as const), answering: whoAnswers }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("hear" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constantFrom("follow" as const, "reload" as const, "replace" as const) }),
  },
);
type Operation = typeof anyOperation extends fc.Arbitrary<infer T> ? T : never;

class Play {
  readonly turns: Turns;
  readonly world: World;
  readonly model = new Model();
  readonly tabs: Tab[] = [];
  readonly #everSent: Uint8Array[][] = [];
  readonly #upkeep = new Map<Tab, Promise<unknown>>();
  #n = 0;
  #handle = 0;

  constructor(seed: number) {
    this.turns = new Turns(seed);
    this.world = new World({
      pause: this.turns.pause,
      sleep: this.turns.pause,
      connect: inOrder,
      cacheMaxBytes: 64 * 1024,
    });
  }

  async openTab(position: number): Promise<void> {
    const tab = await this.world.open();
    this.tabs[position] = tab;
    this.#everSent.push(tab.sent);
  }

  async lane(position: number, operations: readonly Operation[]): Promise<void> {
    for (const operation of operations) {
      const tab = this.tabs[position]!;
      try {
        await this.#do(tab, position, operation);
      } catch (e) {
        const expected =
          isTidemarkError(e, "CONSTRAINT") ||
          (!this.world.live.has(tab.id) && (isTidemarkError(e, "CLOSED") || isTidemarkError(e, "VIEW_RELEASED")));
        if (!expected) throw e;
      }
    }
  }

  async #do(tab: Tab, position: number, o: Operation): Promise<unknown> {
    switch (o.op) {
      case "put":
      case "add": {
        const item = this.#item(o.id, { at: o.at, slug: o.slug, pad: o.pad });
        return this.#write(tab, [o.op === "put" ? put(item) : add(item)]);
      }
      case "delete":
        return this.#write(tab, o.ids.map(del));
      case "increment":
        return this.#transaction(tab, o.isolation, async (tx, reads) => {
          const item = await itemOf(tx, o.id);
          reads.push({ seen: item, ask: (s) => s.get(o.id) });
          return [put({ ...item, id: o.id, n: (item?.n ?? 0) + 1 })];
        });
      case "census":
        return this.#transaction(tab, o.isolation, async (tx, reads) => {
          const found = await itemsAt(tx, o.range.from, o.range.to);
          reads.push({ seen: found, ask: within(o.range.from, o.range.to) });
          return [put(this.#item(o.id, { at: o.at, slug: undefined, pad: 0 }))];
        });
      case "clear":
        return this.#clear(tab, o);
      case "view":
        return this.#view(tab, o);
      case "upkeep":
        return this.#maintain(tab, o.answering);
      case "hear":
        for (const sent of this.#everSent.flat()) tab.database.store.apply(decodeEntry(sent));
        return undefined;
      case "follow":
        return tab.database.store.follow();
      case "reload":
        return tab.database.store.reload();
      case "replace":
        if (this.tabs[position] !== tab) return undefined;
        this.world.kill(tab);
        return this.openTab(position);
      default:
        return undefined;
    }
  }

  #item(key: string, fields: { at: number | undefined; slug: string | undefined; pad: number }): Item {
    const { at: place, slug: name } = fields;
    const n = (this.#n += 1000);
    return {
      id: key,
      n,
      pad: "p".repeat(fields.pad),
      ...(place === undefined ? {} : { at: place }),
      ...(name === undefined ? {} : { slug: name }),
    };
  }

  async #write(tab: Tab, changes: readonly Change[]): Promise<void> {
    const done = await write(tab, changes);
    this.model.committed(done.seq, changes, done.existed);
  }

  async #transaction(
    tab: Tab,
    level: Isolation,
    body: (tx: Handle, reads: Observation[]) => Promise<readonly Change[]>,
  ): Promise<void> {
    for (let attempt = 0; attempt < 30; attempt++) {
      const handle = ++this.#handle;
      const reads: Observation[] = [];
      try {
        const tx = await tab.database.begin(handle, { tracked: true, isolation: level, fresh: false, attempt });
        const changes = await body(tx, reads);
        for (const read of reads) this.model.observe(tx.seq, "read in a transaction", read);
        const done = await commit(tab, handle, changes);
        this.model.committed(done.seq, changes, done.existed, level === "serializable" ? reads : []);
        if (level === "snapshot") this.#unwritten(tx.seq, done.seq, changes);
        return;
      } catch (e) {
        await tab.database.end(handle);
        if (!isTidemarkError(e, "CONFLICT")) throw e;
      }
    }
    throw new Error("it never got through");
  }

  /** Clears in the middle of a transaction: what it wrote before goes too, what it writes after stays. */
  async #clear(tab: Tab, o: Extract<Operation, { op: "clear" }>): Promise<void> {
    for (let attempt = 0; attempt < 30; attempt++) {
      const handle = ++this.#handle;
      const reads: Observation[] = [];
      const after = o.at === undefined ? [] : [put(this.#item(o.id, { at: o.at, slug: o.slug, pad: 0 }))];
      try {
        const tx = await tab.database.begin(handle, { tracked: true, isolation: o.isolation, fresh: false, attempt });
        if (o.isReading) reads.push({ seen: await itemsAt(tx, 0, 3), ask: within(0, 3) });
        for (const read of reads) this.model.observe(tx.seq, "read before a clearing", read);
        if (o.before !== undefined) {
          await stage(tab, tx, [put(this.#item(o.id, { at: o.before, slug: undefined, pad: 0 }))]);
        }
        await clear(tab, tx);
        deepStrictEqual(await itemsIn(tx), [], "a transaction sees what it cleared");
        const done = await commit(tab, handle, after);
        this.model.cleared(done.seq, after, o.isolation === "serializable" ? reads : []);
        return;
      } catch (e) {
        await tab.database.end(handle);
        if (!isTidemarkError(e, "CONFLICT")) throw e;
      }
    }
    throw new Error("it never got through");
  }

  /** Under snapshot isolation nobody wrote between the view and the commit what it writes. */
  #unwritten(view: Seq, made: Seq, changes: readonly Change[]): void {
    for (const { id: key } of changes) {
      let there: Item | undefined;
      this.model.observe(view, "", { seen: undefined, ask: (s) => void (there = s.get(key)) });
      const observation: Observation = { seen: true, ask: (s) => s.get(key) === there };
      this.model.observe(seq(made - 1), `${key} unwritten since ${view}, for the commit at ${made}`, observation);
    }
  }

  async #view(tab: Tab, o: Extract<Operation, { op: "view" }>): Promise<void> {
    const handle = ++this.#handle;
    const view = await tab.database.begin(handle, {
      tracked: false,
      isolation: "snapshot",
      fresh: o.fresh,
      attempt: 0,
    });
    const { from, to } = o.range;
    try {
      for (let turn = 0; turn <= o.turns; turn++) {
        const saw = (what: string, seen: unknown, ask: Observation["ask"]) =>
          this.model.observe(view.seq, `${what} in a view of ${tab.id}`, { seen, ask });
        if (turn % 4 === 0) saw("all", await itemsIn(view), all);
        if (turn % 4 === 1) saw("all reversed", await itemsIn(view, true), (s) => all(s).reverse());
        if (turn % 4 === 2) saw("range", await itemsAt(view, from, to), within(from, to));
        if (turn % 4 === 3) saw("item", await itemOf(view, o.id), (s) => s.get(o.id));
        await this.turns.pause();
      }
    } finally {
      await tab.database.end(handle);
    }
  }

  /** One checkpoint at a time in a tab, as its host sees to. */
  async #maintain(tab: Tab, answering: readonly number[]): Promise<void> {
    while (this.#upkeep.has(tab)) await this.#upkeep.get(tab);
    const others = new Set(answering.flatMap((i) => this.tabs[i] ?? []));
    const done = this.world.upkeep(tab, [...others]).catch((e: unknown) => {
      if (!isTidemarkError(e, "CLOSED")) throw e;
    });
    this.#upkeep.set(
      tab,
      done.finally(() => this.#upkeep.delete(tab)),
    );
    await done;
  }

  /** A tab that was not there sees what the model says, whichever way it looks. */
  async finish(): Promise<void> {
    const tab = await this.world.open();
    const state = this.model.check(tab.database.store.head.seq, this.world.floors);
    for (const checkpointed of [false, true]) {
      if (checkpointed) await this.world.upkeep(tab, this.tabs);
      const view = await tab.database.begin(-1000, { tracked: false, isolation: "snapshot", fresh: false, attempt: 0 });
      deepStrictEqual(await itemsIn(view), all(state));
      deepStrictEqual(await itemsAt(view, 0, 10), within(0, 10)(state));
      deepStrictEqual(await itemsAt(view, 0, 10, true), within(0, 10)(state).reverse());
      await tab.database.end(-1000);
    }
  }
}

const lanes = fc.array(fc.tuple(fc.nat(2), fc.array(anyOperation, { minLength: 3, maxLength: 14, size: "max" })), {
  minLength: 2,
  maxLength: 6,
  size: "max",
});

test(
  "[MV1][MV2][MV3][MV11][TB7][TB2] whatever tabs do at once, it is as if it had been done one after the other",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), lanes, async (seed, plan) => {
        const play = new Play(seed);
        await play.turns.until(
          (async () => {
            for (const position of [0, 1, 2]) await play.openTab(position);
            await Promise.all(plan.map(([position, operations]) => play.lane(position, operations)));
            await play.finish();
          })(),
        );
      }),
      { numRuns: 200 },
    );
  },
);

/** A world whose second tab does `gate.open` before the next time it reads blocks. */
/** All that a small database has is in one block: each upkeep replaces it. */
function withGate(): { world: World; gate: { open: (() => Promise<unknown>) | undefined } } {
  const gate: { open: (() => Promise<unknown>) | undefined } = { open: undefined };
  const connect = (storage: Storage, tab: string): Storage => ({
    commit: (batch) => storage.commit(batch),
    close: () => storage.close(),
    read: async (reads) => {
      const { open } = gate;
      if (open && tab === "tab2" && reads[0]?.store === "blocks") {
        gate.open = undefined;
        await open();
      }
      return storage.read(reads);
    },
  });
  return { world: new World({ connect, cacheMaxBytes: 1, rewrite: defaultWork }), gate };
}

test("[MV1][MV3] a commit judged while a checkpoint arrives knows what moved from memory to blocks", async () => {
  const { world, gate } = withGate();
  const [a, b] = [await world.open(), await world.open()];
  await write(b, [put({ id: "in blocks", n: 1 })]);
  await world.upkeep(b);
  await write(b, [put({ id: "in memory", n: 1, at: 1 })]);
  gate.open = async () => {
    await a.database.store.follow();
    await world.upkeep(a, [b]);
    await b.database.store.reload();
  };
  expect((await write(b, [put({ id: "in blocks", n: 2 }), del("in memory")])).existed).toEqual([true, true]);
  const view = await b.database.begin(1, { tracked: false, isolation: "snapshot", fresh: false, attempt: 0 });
  expect(await itemsIn(view)).toEqual([{ id: "in blocks", n: 2 }]);
  expect(await itemsAt(view, 0, 9)).toEqual([]);
});

test("[TB7][MV2] a tab that reloads while another replaces the catalog's block does not hang", async () => {
  const { world, gate } = withGate();
  const [a, b] = [await world.open(), await world.open()];
  await write(a, [put({ id: "a", n: 1 })]);
  await world.upkeep(a);
  gate.open = async () => {
    await write(a, [put({ id: "a", n: 2 })]);
    await world.upkeep(a);
  };
  const hung = new Promise((resolve) => setTimeout(() => resolve("hung"), 1000));
  expect(await Promise.race([b.database.store.reload(), hung])).toBeUndefined();
  expect(b.database.store.head.seq).toBe(a.database.store.head.seq);
});

test("[TB3] a tab that was told nothing refuses nothing for what has changed since", async () => {
  const world = new World();
  const [a, b] = [await world.open(), await world.open()];
  await write(a, [put({ id: "a", n: 1 }), put({ id: "b", n: 1, slug: "x" })]);
  await b.database.store.follow();
  await write(a, [del("a"), del("b"), put({ id: "c", n: 1 })]);
  expect((await write(b, [del("c")])).existed).toEqual([true]);
  const { store } = b.database;
  await write(a, [put({ id: "d", n: 1 })]);
  await store.follow();
  await write(a, [del("d")]);
  expect((await write(b, [add({ id: "d", n: 2 })])).existed).toEqual([false]);
  await write(a, [put({ id: "e", n: 1, slug: "y" })]);
  await store.follow();
  await write(a, [del("e")]);
  expect((await write(b, [put({ id: "f", n: 2, slug: "y" })])).existed).toEqual([false]);
});
