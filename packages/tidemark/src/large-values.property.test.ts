import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TabId } from "./base/brand.ts";
import { isTidemarkError } from "./base/errors.ts";
import { checkpoint } from "./gc/checkpoint.ts";
import { advanceFloor, deadTabs } from "./gc/floor.ts";
import { reclaim } from "./gc/reclaim.ts";
import { defaultWork } from "./gc/work.ts";
import { Tenure } from "./gc/tenure.ts";
import { readableAt } from "./segments/segments.test-support.ts";
import { faults, large, sweep } from "./large-values.test-support.ts";
import type { KeepRelaxed } from "./storage/memory.ts";
import {
  add,
  clear,
  commit,
  del,
  type Item,
  itemsIn,
  put,
  stage,
  type Tab,
  Turns,
  World,
  write,
} from "./test-world.test-support.ts";

interface Action {
  readonly tab: 0 | 1;
  readonly kind:
    | "small"
    | "large"
    | "strict"
    | "delete"
    | "transaction"
    | "dropped"
    | "refused"
    | "clear"
    | "fold"
    | "sweep";
  readonly id: string;
  readonly sizeBytes: number;
}
const action: fc.Arbitrary<Action> = fc.record({
  tab: fc.constantFrom(0, 1),
  kind: fc.constantFrom(
    "small",
    "large",
    "large",
    "strict",
    "delete",
    "transaction",
    "dropped",
    "refused",
    "clear",
    "fold",
    "sweep",
  ),
  id: fc.constantFrom("a", "b"),
  sizeBytes: fc.constantFrom(33_000, 70_000, 300_000),
});

const begin = (tab: Tab, handle: number) =>
  tab.database.begin(handle, { tracked: true, isolation: "snapshot", fresh: true, attempt: 0 });

async function contents(tab: Tab): Promise<Item[]> {
  const seen = await itemsIn(await begin(tab, -1000));
  await tab.database.end(-1000);
  return seen;
}

async function clearing(tab: Tab, handle: number): Promise<void> {
  await clear(tab, await begin(tab, handle));
  await commit(tab, handle, []);
}

/** Blocks of one record or two, so that some hold cleared ones alone. */
const small = { ...defaultWork, targetBytes: 100 };

/** Folds, and drops what neither `tab` nor what others have pinned can see. */
async function fold(world: World, tab: Tab, dead: ReadonlySet<TabId> = new Set()): Promise<void> {
  await tab.database.store.follow();
  const tenure = await Tenure.begin(tab.storage);
  await world.raise(tab);
  const floor = (await advanceFloor(tab.database, tenure, { proof: "floor", dead }))?.floor;
  if (floor === undefined) return;
  await checkpoint(tab.database.store, tenure, readableAt(floor), small);
  while ((await reclaim(tab.database.store, tenure, readableAt(floor), small)) !== undefined);
}

type State = ReadonlyMap<string, Item>;

/** Runs until the medium dies, and remembers what was promised. */
class Life {
  readonly world = new World();
  /** The states after 0, 1, 2 … commits; the last one may be of a commit that was never acknowledged. */
  readonly states: State[] = [new Map()];
  acknowledged = 0;
  acknowledgedStrictly = 0;

  async run(actions: readonly Action[], dieAt: number, keep: KeepRelaxed): Promise<void> {
    await this.world.untilCrash(dieAt, keep, async (tabs) => {
      for (const [i, a] of actions.entries()) await this.#act(tabs[a.tab], a, i + 1);
    });
  }

  async #act(tab: Tab, { kind, id, sizeBytes }: Action, n: number): Promise<void> {
    const item = large(id, n, sizeBytes);
    switch (kind) {
      case "small":
        return this.#committed([{ id, n }], () => write(tab, [put({ id, n })]));
      case "large":
        return this.#committed([item, large("both", n)], () => write(tab, [put(item), put(large("both", n))]));
      case "strict":
        await this.#committed([item], () => write(tab, [put(item)], "strict"));
        this.acknowledgedStrictly = this.acknowledged;
        return;
      case "delete":
        await tab.database.store.follow(); // to delete what is not there is no commit
        if (this.states.at(-1)!.has(id)) await this.#committed([], () => write(tab, [del(id)]), [id]);
        return;
      case "transaction":
        await stage(tab, await begin(tab, n), [put(large(id, -n)), put(large("both", -n))]);
        return this.#committed([item, large("both", -n)], () => commit(tab, n, [put(item)]));
      case "dropped":
        await stage(tab, await begin(tab, n), [put(item)]);
        return tab.database.end(n);
      case "refused":
        if (!this.states.at(-1)!.has(id)) return;
        await expect(write(tab, [put(large("never", n)), add(item)])).rejects.toSatisfy(
          (e) => isTidemarkError(e, "CONSTRAINT") || isTidemarkError(e, "STORAGE_LOST"),
        );
        return;
      case "clear":
        return this.#committed([], () => clearing(tab, n), ["a", "b", "both"]);
      case "fold":
        return fold(this.world, tab);
      default:
        await sweep(this.world, tab.storage);
    }
  }

  async #committed(
    items: readonly Item[],
    work: () => Promise<unknown>,
    deleted: readonly string[] = [],
  ): Promise<void> {
    const state = new Map(this.states.at(-1));
    for (const id of deleted) state.delete(id);
    for (const item of items) state.set(item.id, item);
    this.states.push(state);
    await work();
    this.acknowledged++;
  }

  /** Opens the database and sweeps it, with a crash at every few steps of that, until it is through. */
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
        await fold(this.world, tab, await deadTabs(tab.storage, () => Promise.resolve(this.world.live)));
        await sweep(this.world, tab.storage);
        medium.onStep = undefined;
        return tab;
      } catch (e) {
        if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
      }
    }
  }

  /** What is there is a prefix of what was committed; all of it can be read, and nothing else lies about. */
  async check(tab: Tab, atLeast: number): Promise<void> {
    const commits = Math.max(0, this.world.commitsThrough(tab.database.store.head.seq) - 1); // the first one is the schema's
    ok(commits >= atLeast, `${commits} commits found, ${atLeast} promised`);
    const state = this.states[commits];
    ok(state, `${commits} of ${this.states.length - 1} commits`);
    deepStrictEqual(
      await contents(tab),
      [...state.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
    deepStrictEqual(await faults(tab), []);
  }
}

const keeps = fc.constantFrom<KeepRelaxed>("none", "all", 1, 3, 7);

describe("large values after a crash", { timeout: 60_000 }, () => {
  test("[MV4][MV11] between any two storage steps: what was promised is readable, what was not is swept", async () => {
    const actions: Action[] = [
      { tab: 0, kind: "large", id: "a", sizeBytes: 300_000 },
      { tab: 1, kind: "strict", id: "b", sizeBytes: 70_000 },
      { tab: 0, kind: "transaction", id: "a", sizeBytes: 33_000 },
      { tab: 1, kind: "refused", id: "a", sizeBytes: 300_000 },
      { tab: 0, kind: "fold", id: "", sizeBytes: 0 },
      { tab: 1, kind: "dropped", id: "b", sizeBytes: 70_000 },
      { tab: 1, kind: "delete", id: "b", sizeBytes: 0 },
      { tab: 0, kind: "sweep", id: "", sizeBytes: 0 },
      { tab: 0, kind: "clear", id: "", sizeBytes: 0 },
      { tab: 0, kind: "large", id: "b", sizeBytes: 33_000 },
      { tab: 1, kind: "fold", id: "", sizeBytes: 0 },
    ];
    for (const keep of ["none", 2, "all"] as const) {
      for (let dieAt = 1, steps = Infinity; dieAt <= steps; dieAt++) {
        const life = new Life();
        await life.run(actions, dieAt, keep);
        if (life.world.medium.steps < dieAt) steps = 0;
        const tab = await life.recover(keep);
        await life.check(tab, keep === "all" ? life.acknowledged : life.acknowledgedStrictly);
      }
    }
  });

  test("[MV4][MV11] whatever was done, and wherever it died", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 12, size: "max" }),
        fc.nat(120),
        keeps,
        keeps,
        async (actions, dieAt, keep, then) => {
          const life = new Life();
          await life.run(actions, dieAt + 1, keep);
          const tab = await life.recover(then);
          const isAll = keep === "all" && then === "all";
          await life.check(tab, isAll ? life.acknowledged : life.acknowledgedStrictly);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test(
  "[MV11] tabs that write, drop, fold and sweep at once, even one another's: no value is lost, none is left over",
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(action, { minLength: 4, maxLength: 14, size: "max" }),
        fc.boolean(),
        async (seed, actions, isTakenForDead) => {
          const turns = new Turns(seed);
          const world = new World({ pause: turns.pause });
          await turns.until(
            (async () => {
              const tabs = [await world.open(), await world.open()] as const;
              if (isTakenForDead) world.live.delete(tabs[0].id);
              const written = new Map<string, Item[]>();
              await Promise.all(actions.map((a, i) => concurrently(world, tabs[a.tab], a, i + 1, written)));
              for (const tab of tabs) {
                await tab.database.idle();
                await tab.database.store.reload(); // what others folded, and dropped, is still in memory otherwise
              }
              await sweep(world, tabs[1].storage);
              for (const item of await contents(tabs[1])) {
                ok(
                  written.get(item.id)?.some((w) => w.n === item.n && w.pad === item.pad),
                  `${item.id} is whole`,
                );
              }
              deepStrictEqual(await faults(tabs[1]), []);
            })(),
          );
        },
      ),
      { numRuns: 60 },
    );
  },
);

async function concurrently(
  world: World,
  tab: Tab,
  { kind, id, sizeBytes }: Action,
  n: number,
  written: Map<string, Item[]>,
): Promise<void> {
  const item = kind === "small" ? { id, n } : large(id, n, sizeBytes);
  written.set(id, [...(written.get(id) ?? []), item]);
  try {
    if (kind === "fold") await fold(world, tab);
    else if (kind === "sweep") await sweep(world, tab.storage);
    else if (kind === "clear") await clearing(tab, n);
    else if (kind === "delete") await write(tab, [del(id)]);
    else if (kind === "refused") await write(tab, [add(item)]);
    else if (kind === "transaction" || kind === "dropped") {
      await stage(tab, await begin(tab, n), [put(item)]);
      if (kind === "transaction") await commit(tab, n, []);
      else await tab.database.end(n);
    } else await write(tab, [put(item)], kind === "strict" ? "strict" : "relaxed");
  } catch (e) {
    // Refused as it should be, or swept although it lives: then it is told that nothing was committed.
    if (isTidemarkError(e, "CONSTRAINT") || isTidemarkError(e, "CONFLICT")) return;
    if (!isTidemarkError(e, "STORAGE_LOST") || e.details["outcome"] !== "none") throw e;
  }
}
