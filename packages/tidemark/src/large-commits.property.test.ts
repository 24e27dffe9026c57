import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Seq, seq } from "./base/brand.ts";
import { isTidemarkError } from "./base/errors.ts";
import { defaultWork } from "./gc/work.ts";
import type { Isolation } from "./mvcc/group.ts";
import { contents, dels, puts, records, upload } from "./large-commits.test-support.ts";
import { faults, large, sweep } from "./large-values.test-support.ts";
import type { KeepRelaxed } from "./storage/memory.ts";
import {
  add,
  type Change,
  clear,
  commit,
  inOrder,
  type Item,
  itemOf,
  itemsAt,
  put,
  type Tab,
  Turns,
  World,
  write,
} from "./test-world.test-support.ts";
import { decodeEntry } from "./wal/entry.ts";

const rewrite = { ...defaultWork, targetBytes: 8000, maxStoreBytes: 30_000 };
type State = ReadonlyMap<string, Item>;
const sorted = (state: State): Item[] => [...state.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));

function changed(state: State, changes: readonly Change[]): State {
  const next = new Map(state);
  for (const { id, item } of changes) {
    if (item) next.set(id, item);
    else next.delete(id);
  }
  return next;
}

interface Action {
  readonly tab: 0 | 1;
  readonly kind:
    | "small"
    | "large"
    | "strict"
    | "huge"
    | "values"
    | "uploaded"
    | "overwritten"
    | "deletes"
    | "refused"
    | "clear"
    | "fold"
    | "sweep";
}
const action: fc.Arbitrary<Action> = fc.record({
  tab: fc.constantFrom(0, 1),
  kind: fc.constantFrom(
    "small",
    "large",
    "large",
    "strict",
    "strict",
    "huge",
    "values",
    "uploaded",
    "uploaded",
    "overwritten",
    "deletes",
    "refused",
    "clear",
    "fold",
    "sweep",
  ),
});

/** Runs until the medium dies, and remembers what was promised. */
class Life {
  readonly world = new World({ rewrite });
  /** The states after 0, 1, 2 … commits; the last one may be of a commit that was never acknowledged. */
  readonly states: State[] = [new Map()];
  acknowledged = 0;
  acknowledgedStrictly = 0;

  async run(actions: readonly Action[], dieAt: number, keep: KeepRelaxed): Promise<void> {
    await this.world.untilCrash(dieAt, keep, async (tabs) => {
      for (const [i, a] of actions.entries()) await this.#act(tabs[a.tab], a, i + 1);
    });
  }

  async #act(tab: Tab, { kind }: Action, n: number): Promise<void> {
    switch (kind) {
      case "small":
        return this.#committed(tab, [put({ id: "r00005", n })]);
      case "large":
        return this.#committed(tab, puts(n, 160, n));
      case "strict":
        return this.#committed(tab, puts(n, 160), "strict");
      case "huge":
        return this.#committed(tab, puts(n, 700));
      case "values":
        return this.#committed(tab, [put(large("v", n)), ...puts(n, 160), put(large("w", n))]);
      case "uploaded":
        return this.#promised(puts(n, 400, 1000 * n), this.states.at(-1)!, n % 2 === 0, () =>
          upload(tab, puts(n, 400, 1000 * n), n % 2 === 0 ? "strict" : "relaxed"),
        );
      case "overwritten": // which the first keys do not tell
        return this.#promised([...puts(n, 400, 1000 * n), ...puts(n, 50)], this.states.at(-1)!, false, () =>
          upload(tab, [...puts(n, 400, 1000 * n), ...puts(n, 50)]),
        );
      case "deletes": {
        // What is deleted has index keys so long that the deletes are many bytes.
        const items = records(n, 120, 100).map((item, i): Item => ({ ...item, slug: `${i},`.repeat(150) }));
        await this.#committed(tab, items.map(put));
        return this.#committed(tab, [...dels(120, 100), put({ id: "z", n })]);
      }
      case "refused":
        if (!this.states.at(-1)!.has("r00005")) return;
        await expect(write(tab, records(n, 160).map(add))).rejects.toSatisfy(
          (e) => isTidemarkError(e, "CONSTRAINT") || isTidemarkError(e, "STORAGE_LOST"),
        );
        return;
      case "clear":
        await clear(tab, await tab.database.begin(n, fresh));
        return this.#promised(puts(n, 150, 20), new Map(), false, () => commit(tab, n, puts(n, 150, 20)));
      case "fold":
        await this.world.upkeep(tab);
        return;
      default:
        await sweep(this.world, tab.storage);
    }
  }

  #committed(tab: Tab, changes: readonly Change[], durability?: "strict"): Promise<void> {
    return this.#promised(changes, this.states.at(-1)!, durability === "strict", () => write(tab, changes, durability));
  }

  async #promised(
    changes: readonly Change[],
    before: State,
    isStrict: boolean,
    work: () => Promise<unknown>,
  ): Promise<void> {
    this.states.push(changed(before, changes));
    await work();
    this.acknowledged++;
    if (isStrict) this.acknowledgedStrictly = this.acknowledged;
  }

  /** Opens the database, with a crash at every few steps of that, until it is through. */
  async recover(keep: KeepRelaxed): Promise<Tab> {
    const { medium } = this.world;
    for (let at = 1; ; at += 3) {
      let steps = 0;
      medium.onStep = () => {
        if (++steps === at) medium.crash({ keepRelaxed: keep });
        return "go";
      };
      try {
        this.world.live.clear();
        const tab = await this.world.open();
        medium.onStep = undefined;
        return tab;
      } catch (e) {
        if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
      }
    }
  }

  /** What is there is a prefix of what was committed, each commit whole, and nothing else lies about. */
  async check(atLeast: number): Promise<void> {
    const tab = await this.recover("all");
    const commits = Math.max(0, this.world.commitsThrough(tab.database.store.head.seq) - 1); // the first one is the schema's
    ok(commits >= atLeast, `${commits} commits found, ${atLeast} promised`);
    const state = this.states[commits];
    ok(state, `${commits} of ${this.states.length - 1} commits`);
    deepStrictEqual(await contents(tab), sorted(state));
    deepStrictEqual(tab.damage, []);
    await sweep(this.world, tab.storage);
    deepStrictEqual(await faults(tab), []);
    await this.world.upkeep(tab);
    deepStrictEqual(await contents(tab), sorted(state));
    deepStrictEqual(await faults(tab), []);
    deepStrictEqual(tab.database.store.bodiesThrough(tab.database.store.head.seq), []);
  }
}

const fresh = { tracked: true, isolation: "serializable", fresh: true, attempt: 0 } as const;

describe("large commits after a crash", { timeout: 120_000 }, () => {
  test("[MV1][MV4][MV5][MV11] between any two storage steps: whole or not at all, and nothing is left over", async () => {
    const plan: readonly Action[] = [
      { tab: 0, kind: "large" },
      { tab: 1, kind: "strict" },
      { tab: 1, kind: "small" },
      { tab: 0, kind: "refused" },
      { tab: 0, kind: "huge" },
      { tab: 1, kind: "fold" },
      { tab: 1, kind: "values" },
      { tab: 0, kind: "strict" },
      { tab: 1, kind: "deletes" },
      { tab: 0, kind: "uploaded" },
      { tab: 1, kind: "overwritten" },
      { tab: 0, kind: "clear" },
      { tab: 0, kind: "fold" },
      { tab: 1, kind: "large" },
    ];
    for (const keep of ["none", 2, "all"] as const) {
      for (let dieAt = 1, steps = Infinity; dieAt <= steps; dieAt += keep === "none" ? 1 : 3) {
        const life = new Life();
        await life.run(plan, dieAt, keep);
        if (life.world.medium.steps < dieAt) steps = 0;
        await life.check(keep === "all" ? life.acknowledged : life.acknowledgedStrictly);
      }
    }
  });

  test("[MV1][MV4][MV5][MV11] whatever was done, and wherever it died", async () => {
    const keeps = fc.constantFrom<KeepRelaxed>("none", "all", 1, 3, 7);
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 10, size: "max" }),
        fc.nat(120),
        keeps,
        keeps,
        async (actions, dieAt, keep, then) => {
          const life = new Life();
          await life.run(actions, dieAt + 1, keep);
          life.world.kill(await life.recover(then));
          const isAll = keep === "all" && then === "all";
          await life.check(isAll ? life.acknowledged : life.acknowledgedStrictly);
        },
      ),
      { numRuns: 25 },
    );
  });
});

const operation = fc.record({
  kind: fc.constantFrom(
    "small" as const,
    "small" as const,
    "large" as const,
    "large" as const,
    "adds" as const,
    "uploads" as const,
    "uploads" as const,
    "deletes" as const,
    "transaction" as const,
    "transaction" as const,
    "fold" as const,
    "sweep" as const,
    "hear" as const,
    "reload" as const,
  ),
  isolation: fc.constantFrom<Isolation>("serializable", "snapshot"),
  from: fc.constantFrom(0, 100, 200),
  at: fc.option(fc.nat(3), { nil: undefined }),
  isNamed: fc.boolean(),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Done {
  readonly changes: readonly Change[];
  readonly existed: readonly boolean[];
  /** What a serializable transaction saw with these keys in the index. */
  readonly census: readonly Item[] | undefined;
}

class Race {
  readonly turns: Turns;
  readonly world: World;
  readonly #done = new Map<Seq, Done>();
  #n = 0;

  constructor(seed: number) {
    this.turns = new Turns(seed);
    const { pause } = this.turns;
    this.world = new World({ rewrite, pause, sleep: pause, connect: inOrder });
  }

  async lane(tab: Tab, tabs: readonly Tab[], operations: readonly Operation[]): Promise<void> {
    for (const o of operations) {
      try {
        await this.#do(tab, tabs, o);
      } catch (e) {
        if (!isTidemarkError(e, "CONSTRAINT")) throw e;
      }
    }
  }

  #items({ from, at, isNamed }: Operation): readonly Item[] {
    const fields = { ...(at === undefined ? {} : { at }), ...(isNamed ? { slug: "s" } : {}) };
    return records(++this.#n, 180, from).map((item, i) => (i === 77 ? { ...item, ...fields } : item));
  }

  async #do(tab: Tab, tabs: readonly Tab[], o: Operation): Promise<void> {
    switch (o.kind) {
      case "small":
        return this.#write(tab, [put(this.#items(o)[77]!)]);
      case "large":
        return this.#write(tab, this.#items(o).map(put));
      case "adds":
        return this.#write(tab, this.#items(o).map(add));
      case "uploads": {
        const from = o.isNamed ? o.from : ++this.#n * 1000; // there already, or new
        const items = records(++this.#n, 180, from);
        const changes = items.map(o.at === undefined ? put : add);
        const { seq: at, existed } = await upload(tab, changes, "relaxed", this.turns.pause);
        return this.#committed(at, { changes, existed, census: undefined });
      }
      case "deletes":
        return this.#write(tab, dels(180, o.from));
      case "transaction":
        return this.#transaction(tab, o);
      case "fold":
        if (tab === tabs[0]) await this.world.upkeep(tab);
        return;
      case "sweep":
        await sweep(this.world, tab.storage);
        return;
      case "hear":
        for (const bytes of tabs.flatMap(({ sent }) => sent)) tab.database.store.apply(decodeEntry(bytes));
        return;
      default:
        await tab.database.store.reload();
    }
  }

  async #write(tab: Tab, changes: readonly Change[]): Promise<void> {
    const { seq: at, existed } = await write(tab, changes);
    this.#committed(at, { changes, existed, census: undefined });
  }

  #committed(at: Seq, done: Done): void {
    if (done.changes.every(({ kind }, i) => kind === "delete" && !done.existed[i])) return;
    ok(!this.#done.has(at), `two commits at ${at}`);
    this.#done.set(at, done);
  }

  /** Counts what an index range holds, and writes that into many records. */
  async #transaction(tab: Tab, o: Operation): Promise<void> {
    for (let attempt = 0; attempt < 40; attempt++) {
      const handle = ++this.#n;
      try {
        const begun = { tracked: true, isolation: o.isolation, fresh: false, attempt };
        const tx = await tab.database.begin(handle, begun);
        const census = await itemsAt(tx, 0, 2);
        await itemOf(tx, "r00177");
        const changes = this.#items(o).map((item) => put({ ...item, n: item.n + census.length }));
        const done = await commit(tab, handle, changes);
        const isSerial = o.isolation === "serializable";
        return this.#committed(done.seq, { changes, existed: done.existed, census: isSerial ? census : undefined });
      } catch (e) {
        await tab.database.end(handle);
        if (!isTidemarkError(e, "CONFLICT")) throw e;
      }
    }
    throw new Error("it never got through");
  }

  /** It is as if all had been done one after the other; nothing is left over. */
  async check(tabs: readonly Tab[]): Promise<void> {
    for (const { database } of tabs) await database.idle();
    const tab = await this.world.open();
    let state: State = new Map();
    for (let at = 2; at <= tab.database.store.head.seq; at++) {
      const done = this.#done.get(seq(at));
      if (this.world.floors.has(seq(at))) continue;
      ok(done, `a commit at ${at} that nobody made`);
      deepStrictEqual(
        done.existed,
        done.changes.map(({ id }) => state.has(id)),
        `existed at ${at}`,
      );
      if (done.census) {
        const there = sorted(state).filter((i) => i.at !== undefined && i.at < 2);
        deepStrictEqual(
          done.census,
          there.toSorted((x, y) => x.at! - y.at!),
          `read by the commit at ${at}`,
        );
      }
      ok(!done.changes.some(({ kind, id }) => kind === "add" && state.has(id)), `added twice, at ${at}`);
      state = changed(state, done.changes);
      const named = [...state.values()].filter((i) => i.slug !== undefined);
      ok(named.length <= 1, `one slug, at ${at}`);
    }
    const commits = this.world.commitsThrough(tab.database.store.head.seq);
    ok(this.#done.size === commits - 1, "nothing was committed past the head");
    for (const one of [...tabs, tab]) deepStrictEqual(await contents(one), sorted(state));
    deepStrictEqual(await faults(tab), []);
    await this.world.upkeep(tab);
    deepStrictEqual(await contents(tab), sorted(state));
    deepStrictEqual(await faults(tab), []);
  }
}

test(
  "[MV1][MV3][MV11] tabs that commit large and small at once, fold and sweep: it is as if one after the other",
  { timeout: 120_000 },
  async () => {
    const lane = fc.tuple(fc.nat(1), fc.array(operation, { minLength: 2, maxLength: 6, size: "max" }));
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(lane, { minLength: 2, maxLength: 5, size: "max" }),
        async (seed, lanes) => {
          const race = new Race(seed);
          await race.turns.until(
            (async () => {
              const tabs = [await race.world.open(), await race.world.open()];
              await Promise.all(lanes.map(([i, operations]) => race.lane(tabs[i]!, tabs, operations)));
              await race.check(tabs);
            })(),
          );
        },
      ),
      { numRuns: 40 },
    );
  },
);
