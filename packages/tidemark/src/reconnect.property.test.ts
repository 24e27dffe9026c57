/** Tabs whose connections are lost at any storage step, against what each of their commits was told. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { faults, large, sweep } from "./large-values.test-support.ts";
import type { KeepRelaxed, Verdict } from "./storage/memory.ts";
import {
  commit,
  del,
  type Item,
  itemOf,
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
  readonly kind: "put" | "strict" | "large" | "many" | "largeIn" | "increment" | "delete" | "upkeep" | "look" | "crash";
  /** Whether the tab's next action waits for it. */
  readonly alone: boolean;
}

interface Loss {
  /** So many steps after the one before. */
  readonly after: number;
  readonly verdict: "lost" | "cut";
}

const losses = fc.array(
  fc.record({ after: fc.nat({ max: 25 }), verdict: fc.constantFrom<Loss["verdict"]>("lost", "lost", "cut") }),
  { maxLength: 14 },
);
const actionsOf = (...kinds: Action["kind"][]): fc.Arbitrary<Action[]> =>
  fc.array(fc.record({ tab: fc.constantFrom<0 | 1>(0, 1), kind: fc.constantFrom(...kinds), alone: fc.boolean() }), {
    maxLength: 30,
    size: "max",
  });

/** What a commit was told: that it counts, that it does not, or neither. */
type Told = "done" | "not done" | "unknown";

class Life {
  readonly turns: Turns;
  readonly world: World;
  /** By the id of the record that each commit writes, and no other. */
  readonly told = new Map<string, { readonly told: Told; readonly isStrict: boolean; readonly lives: number }>();
  readonly #keep: KeepRelaxed;
  readonly #upkeep = new Map<Tab, Promise<void>>();
  #lives = 0;

  constructor(seed: number, keep: KeepRelaxed) {
    this.turns = new Turns(seed);
    this.world = new World({ pause: this.turns.pause, sleep: this.turns.pause, reopens: true, cacheMaxBytes: 1 });
    this.#keep = keep;
  }

  async run(actions: readonly Action[], planned: readonly Loss[]): Promise<void> {
    const { medium } = this.world;
    const tabs = [await this.world.open(), await this.world.open()] as const;
    await write(tabs[0], [put({ id: "count", n: 0 })], "strict");
    const first = this.world.commitsThrough(tabs[0].database.store.head.seq);
    medium.onStep = lossesAt(planned);
    await Promise.all(
      tabs.map((tab, i) =>
        this.#actAll(
          tab,
          tabs,
          actions.filter((a) => a.tab === i),
          `${i}`,
        ),
      ),
    );
    medium.onStep = undefined;
    for (const tab of tabs) await tab.database.idle();
    await this.#compare([...tabs, await this.world.open()], first);
    for (const tab of tabs) {
      const id = `last ${tab.id}`;
      await write(tab, [put({ id, n: 1 })]);
      ok((await itemsOf(tab)).some((i) => i.id === id));
      await this.world.upkeep(tab, tabs);
      deepStrictEqual(tab.damage, []);
    }
    deepStrictEqual(await itemsOf(tabs[0]), await itemsOf(await this.world.open()));
    await this.#expectNothingLeft(tabs);
  }

  /** What lies out of line is whole, and once its tabs are dead nothing is left of what was not published. */
  async #expectNothingLeft(tabs: readonly Tab[]): Promise<void> {
    for (const tab of tabs) this.world.kill(tab);
    const last = await this.world.open();
    await sweep(this.world, last.storage);
    await this.world.upkeep(last); // what is in the log alone is out of line there, too
    deepStrictEqual(await faults(last), []);
  }

  async #actAll(tab: Tab, tabs: readonly Tab[], actions: readonly Action[], prefix: string): Promise<void> {
    const running: Promise<void>[] = [];
    for (const [i, action] of actions.entries()) {
      const acting = this.#act(tab, tabs, action, `${prefix}/${String(i).padStart(2, "0")}`, i + 1);
      running.push(acting);
      if (action.alone) await acting;
    }
    await Promise.all(running);
  }

  async #act(tab: Tab, tabs: readonly Tab[], { kind }: Action, id: string, handle: number): Promise<void> {
    if (kind === "crash") {
      await this.turns.pause(); // whoever was told before has noted it
      this.#lives++;
      this.world.medium.crash({ keepRelaxed: this.#keep });
    } else if (kind === "look") await this.#look(tab, handle);
    else if (kind === "upkeep") await this.#fold(tab, tabs);
    else if (kind === "large") await this.#told(id, false, write(tab, [put(large(id, 1, 300_000))]));
    else if (kind === "many") await this.#told(id, false, write(tab, [...manyWrites, put({ id, n: 1 })]));
    else if (kind === "largeIn") await this.#told(id, false, largeIn(tab, handle, id));
    else if (kind === "increment") await this.#told(id, false, increment(tab, handle, id));
    else if (kind === "delete") await this.#told(id, false, deleteAndPut(tab, handle, id));
    else await this.#told(id, kind === "strict", write(tab, [put({ id, n: 1 })], kind === "strict" ? kind : "relaxed"));
  }

  /** One at a time in each tab. */
  #fold(tab: Tab, tabs: readonly Tab[]): Promise<void> {
    const before = this.#upkeep.get(tab) ?? Promise.resolve();
    const folding = before.then(() => unlessLost(this.world.upkeep(tab, tabs)));
    this.#upkeep.set(tab, folding);
    return folding;
  }

  async #told(id: string, isStrict: boolean, committing: Promise<unknown>): Promise<void> {
    const told = await committing.then(
      (): Told => "done",
      (e: unknown): Told => {
        ok(isTidemarkError(e, "STORAGE_LOST") || isTidemarkError(e, "CONFLICT"), String(e));
        return e.details["outcome"] === "unknown" ? "unknown" : "not done";
      },
    );
    this.told.set(id, { told, isStrict, lives: this.#lives });
  }

  /** A view shows the same at its end as at its beginning. */
  async #look(tab: Tab, handle: number): Promise<void> {
    const { database } = tab;
    const view = await database.begin(handle, { tracked: false, isolation: "snapshot", fresh: false, attempt: 0 });
    try {
      const before = await itemsIn(view);
      for (let i = 0; i < 5; i++) await this.turns.pause();
      deepStrictEqual(await itemsIn(view), before);
      deepStrictEqual(await itemsIn(view, true), before.toReversed());
    } catch (e) {
      if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
    } finally {
      await database.end(handle);
    }
  }

  async #compare(tabs: readonly Tab[], first: number): Promise<void> {
    const items = await itemsOf(tabs[0]!);
    const there = new Set(items.map((i) => i.id));
    for (const [id, { told, isStrict, lives }] of this.told) {
      if (told === "not done") ok(!there.has(id), `${id} failed, and is there`);
      // A later crash may take what is not strict.
      if (told === "done" && (isStrict || lives === this.#lives)) ok(there.has(id), `${id} was done, and is gone`);
    }
    const commits = items.filter((i) => i.id !== "count" && !i.id.startsWith("many"));
    const count = items.find((i) => i.id === "count")?.n;
    strictEqual(count, commits.filter((i) => i.at === 1).length, "increments");
    for (const tab of tabs) {
      deepStrictEqual(await itemsOf(tab), items);
      strictEqual(
        this.world.commitsThrough(tab.database.store.head.seq),
        first + commits.length,
        "each commit took one seq",
      );
    }
  }
}

function lossesAt(planned: readonly Loss[]): (step: { readonly kind: string }) => Verdict {
  let next = 0;
  let left = planned[0]?.after ?? 0;
  return ({ kind }) => {
    const loss = planned[next];
    if (!loss || left-- > 0) return "go";
    left = planned[++next]?.after ?? 0;
    return loss.verdict === "cut" && kind === "committed" ? "lost" : loss.verdict;
  };
}

const unlessLost = async (work: Promise<unknown>): Promise<void> => {
  try {
    await work;
  } catch (e) {
    if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
  }
};

async function itemsOf(tab: Tab): Promise<Item[]> {
  const view = await tab.database.begin(-1000, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  try {
    return await itemsIn(view);
  } finally {
    await tab.database.end(-1000);
  }
}

async function increment(tab: Tab, handle: number, id: string): Promise<unknown> {
  const tx = await tab.database.begin(handle, { tracked: true, isolation: "serializable", fresh: false, attempt: 0 });
  const n = (await itemOf(tx, "count"))?.n ?? 0;
  return commit(tab, handle, [put({ id: "count", n: n + 1 }), put({ id, n: 1, at: 1 })]);
}

/** Writes a large value twice: what the first write staged is not used. */
async function largeIn(tab: Tab, handle: number, id: string): Promise<unknown> {
  const tx = await tab.database.begin(handle, { tracked: true, isolation: "snapshot", fresh: false, attempt: 0 });
  try {
    await stage(tab, tx, [put(large(id, 2))]);
  } catch (e) {
    await tab.database.end(handle);
    throw e;
  }
  return commit(tab, handle, [put(large(id, 1))]);
}

/** Too much for one entry. */
const manyWrites = [1, 2, 3].map((n) => put(large(`many ${n}`, n, 30_000)));

/** Deletes a key that there may be, and writes the record that tells. */
async function deleteAndPut(tab: Tab, handle: number, id: string): Promise<unknown> {
  await tab.database.begin(handle, { tracked: true, isolation: "snapshot", fresh: false, attempt: 0 });
  return commit(tab, handle, [del("nothing"), put({ id, n: 2 })]);
}

const run = async (actions: Action[], planned: Loss[], seed: number, keep: KeepRelaxed): Promise<void> => {
  const life = new Life(seed, keep);
  await life.turns.until(life.run(actions, planned));
};

describe("connections lost at any step", { timeout: 60_000 }, () => {
  test("[MV9][MV1] every commit that was done is there once, none that failed is, and nothing hangs", async () => {
    const actions = actionsOf("put", "put", "strict", "increment", "increment", "delete", "upkeep", "look");
    await fc.assert(
      fc.asyncProperty(actions, losses, fc.nat(), (a, l, seed) => run(a, l, seed, "all")),
      { numRuns: 300 },
    );
  });

  test("[MV9][MV4] where the medium lost the end of the log, all tabs go on from what it kept", async () => {
    const actions = actionsOf("put", "put", "strict", "increment", "upkeep", "look", "crash");
    const keeps = fc.constantFrom<KeepRelaxed>("none", 1, 2, 3, "all");
    await fc.assert(fc.asyncProperty(actions, losses, fc.nat(), keeps, run), { numRuns: 300 });
  });

  test("[MV9][MV11] large values and large commits are published whole or not at all, and leave nothing behind", async () => {
    const actions = actionsOf("large", "large", "largeIn", "many", "many", "put", "strict", "upkeep", "crash");
    const keeps = fc.constantFrom<KeepRelaxed>("none", 1, 2, 3, 5, 8, "all");
    await fc.assert(fc.asyncProperty(actions, losses, fc.nat(), keeps, run), { numRuns: 60 });
  });
});
