import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import type { Isolation } from "./mvcc/group.ts";
import { readRoot } from "./segments/manifest-rows.ts";
import { valueOf } from "./storage/contract.ts";
import type { KeepRelaxed } from "./storage/memory.ts";
import {
  type Change,
  clear,
  commit,
  databaseName,
  del,
  itemOf,
  itemsIn,
  put,
  type Tab,
  World,
  write,
} from "./test-world.test-support.ts";
import { readFence } from "./wal/log.ts";

const begin = (tab: Tab, handle: number, isolation: Isolation = "serializable", tracked = true) =>
  tab.database.begin(handle, { tracked, isolation, fresh: false, attempt: 0 });

async function contents(tab: Tab): Promise<string[]> {
  const view = await tab.database.begin(-1000, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  const items = await itemsIn(view);
  await tab.database.end(-1000);
  return items.map((i) => `${i.id}=${i.n}`);
}

const codeOf = (e: unknown): string => (isTidemarkError(e) ? e.code : String(e));

/** One thing after the other, in two tabs that never tell each other anything. */
interface Action {
  readonly tab: 0 | 1;
  readonly kind: "put" | "delete" | "clear" | "strict" | "upkeep";
  readonly id: string;
}
const action: fc.Arbitrary<Action> = fc.record({
  tab: fc.constantFrom(0, 1),
  kind: fc.constantFrom("put", "put", "put", "strict", "strict", "delete", "clear", "upkeep", "upkeep"),
  id: fc.constantFrom("a", "b", "c"),
});

/** Runs until the medium dies, and remembers what was promised. */
class Life {
  readonly world = new World();
  /** The states after 0, 1, 2 … commits; the last one may be of a commit that was never acknowledged. */
  readonly states: Map<string, number>[] = [new Map()];
  acknowledged = 0;
  acknowledgedStrictly = 0;

  async run(actions: readonly Action[], dieAt: number, keep: KeepRelaxed): Promise<void> {
    await this.world.untilCrash(dieAt, keep, async (tabs) => {
      for (const [i, a] of actions.entries()) await this.#act(tabs, a, i + 1);
    });
  }

  async #act(tabs: readonly [Tab, Tab], { tab, kind, id }: Action, n: number): Promise<void> {
    if (kind === "upkeep") {
      await this.world.upkeep(tabs[tab], tabs);
      return;
    }
    if (kind === "clear") return this.#clear(tabs[tab]);
    if (kind === "delete") await tabs[tab].database.store.follow(); // to delete what is not there is no commit
    const state = new Map(this.states.at(-1));
    const changes: Change[] = kind === "delete" ? [del(id)] : [put({ id, n }), put({ id: "both", n })];
    for (const c of changes) if (c.item) state.set(c.id, n);
    if (kind === "delete" && !state.delete(id)) return;
    this.states.push(state);
    await write(tabs[tab], changes, kind === "strict" ? "strict" : "relaxed");
    this.acknowledged++;
    if (kind === "strict") this.acknowledgedStrictly = this.acknowledged;
  }

  async #clear(tab: Tab): Promise<void> {
    const tx = await tab.database.begin(1, { tracked: true, isolation: "serializable", fresh: true, attempt: 0 });
    await clear(tab, tx);
    this.states.push(new Map());
    await commit(tab, 1, []);
    this.acknowledged++;
  }

  /** Opens the database with a crash at each step of it in turn, until it is through. */
  async recoverAgainAndAgain(keep: KeepRelaxed): Promise<Tab> {
    const { medium } = this.world;
    for (let at = 1; ; at++) {
      let steps = 0;
      medium.onStep = () => {
        if (++steps === at) medium.crash({ keepRelaxed: keep });
        return "go";
      };
      try {
        const tab = await this.world.open();
        medium.onStep = undefined;
        return tab;
      } catch (e) {
        if (!isTidemarkError(e, "STORAGE_LOST")) throw e;
      }
    }
  }

  /** How many commits `tab` found, after checking that they are the first ones, and whole. */
  async found(tab: Tab): Promise<number> {
    const commits = Math.max(0, this.world.commitsThrough(tab.database.store.head.seq) - 1); // the first one is the schema's
    const state = this.states[commits];
    ok(state, `${commits} of ${this.states.length - 1} commits`);
    deepStrictEqual(await contents(tab), [...state].map(([id, n]) => `${id}=${n}`).sort());
    return commits;
  }

  /** What comes after a recovery works, in this tab and for the next one. */
  async goesOn(tab: Tab): Promise<void> {
    const n = 1000 + tab.database.store.head.seq;
    await write(tab, [put({ id: "after", n })], "strict");
    const expected = await contents(tab);
    ok(expected.includes(`after=${n}`));
    await this.world.upkeep(tab);
    deepStrictEqual(await contents(await this.world.open()), expected);
  }
}

const keeps = fc.constantFrom<KeepRelaxed>("none", "all", 1, 2, 3);

describe("after a crash", { timeout: 20_000 }, () => {
  test("[MV1][MV4][MV5] between any two storage steps, a prefix is found that has all strict commits", async () => {
    const actions: Action[] = [
      { tab: 0, kind: "put", id: "a" },
      { tab: 1, kind: "strict", id: "b" },
      { tab: 1, kind: "put", id: "a" },
      { tab: 0, kind: "upkeep", id: "" },
      { tab: 1, kind: "delete", id: "b" },
      { tab: 0, kind: "put", id: "c" },
      { tab: 1, kind: "upkeep", id: "" },
      { tab: 0, kind: "strict", id: "a" },
      { tab: 1, kind: "clear", id: "" },
      { tab: 0, kind: "put", id: "c" },
    ];
    for (const keep of ["none", 1, "all"] as const) {
      for (let dieAt = 1, steps = Infinity; dieAt <= steps; dieAt++) {
        const life = new Life();
        await life.run(actions, dieAt, keep);
        if (life.world.medium.steps < dieAt) steps = 0;
        const tab = await life.recoverAgainAndAgain(keep);
        const commits = await life.found(tab);
        expect(commits).toBeGreaterThanOrEqual(keep === "all" ? life.acknowledged : life.acknowledgedStrictly);
        await life.goesOn(tab);
      }
    }
  });

  test("[MV1][MV4][MV5] whatever was done, and wherever it died", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 16, size: "max" }),
        fc.nat(90),
        keeps,
        keeps,
        async (actions, dieAt, keep, then) => {
          const life = new Life();
          await life.run(actions, dieAt + 1, keep);
          const tab = await life.recoverAgainAndAgain(then);
          const commits = await life.found(tab);
          expect(commits).toBeGreaterThanOrEqual(
            keep === "all" && then === "all" ? life.acknowledged : life.acknowledgedStrictly,
          );
          await life.goesOn(tab);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("[MV4][MV5][MV8] damage at the log's end is struck, also when that is killed again and again", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 2, maxLength: 12, size: "max" }),
        fc.nat(),
        fc.nat(),
        fc.nat(7),
        async (actions, which, at, bit) => {
          const life = new Life();
          await life.run(actions, Infinity, "all");
          const raw = await life.world.medium.open(databaseName);
          const entries = (await raw.read([{ kind: "range", store: "log", range: { from: 1 } }]))[0]!;
          const hit = entries[which % Math.max(1, entries.length)];
          const intact = await life.recoverAgainAndAgain("all");
          if (!hit) return;
          const { incarnation, seq: checkpointed } = intact.database.store.fence;
          life.world.kill(intact);
          // Byte 3 tells the format: see the tests of entries.
          const position = at % hit.value.length;
          life.world.medium.damage(databaseName, "log", hit.key, position === 3 ? 4 : position, bit);
          const tab = await life.recoverAgainAndAgain("all");
          expect(tab.database.store.fence).toMatchObject({ incarnation: incarnation + 1, seq: checkpointed });
          expect(tab.database.store.head.seq).toBe(Math.max(checkpointed, (hit.key as number) - 1, 1));
          if ((hit.key as number) > 1) await life.found(tab);
          await life.goesOn(tab);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("damage", () => {
  test("[MV8] in a block is reported as CORRUPT naming it, and the rest stays readable", async () => {
    const world = new World({ cacheMaxBytes: 1 });
    const a = await world.open();
    const names = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    await write(
      a,
      names.map((id) => put({ id, n: 1, pad: "p".repeat(9000) })),
    );
    await world.upkeep(a);
    const blocks = [...a.database.store.manifest.all()];
    expect(blocks.length).toBeGreaterThan(4);
    const hit = blocks[2]!; // behind those of the catalog and the floor
    for (const at of [0, 4, 8, 9, 100, hit.sizeBytes - 1]) {
      world.medium.damage(databaseName, "blocks", hit.id, at, 3);
      const b = await world.open();
      const view = await begin(b, 1, "snapshot", false);
      const seen = await Promise.all(
        names.map((id) =>
          itemOf(view, id).then(
            (i) => i?.n,
            (e: unknown) => e,
          ),
        ),
      );
      const lost = seen.filter((s) => s !== 1);
      expect(lost.length).toBeGreaterThan(0);
      expect(lost.length).toBeLessThan(names.length / 2);
      for (const e of lost) expect(e).toMatchObject({ code: "CORRUPT", details: { what: "block", id: hit.id } });
      await expect(itemsIn(view)).rejects.toMatchObject({ code: "CORRUPT", details: { id: hit.id } });
      world.medium.damage(databaseName, "blocks", hit.id, at, 3);
      expect(await itemsIn(view)).toHaveLength(names.length);
      world.kill(b);
    }
  });

  test("[MV8] in a block fails the commits that need it, not those gathered with them", async () => {
    const world = new World({ cacheMaxBytes: 1 });
    const a = await world.open();
    const names = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    await write(
      a,
      names.map((id) => put({ id, n: 1, pad: "p".repeat(9000) })),
    );
    await world.upkeep(a);
    const blocks = [...a.database.store.manifest.all()];
    world.medium.damage(databaseName, "blocks", blocks.at(-1)!.id, 50);
    const outcomes = await Promise.allSettled(["k11", "k00", "k11"].map((id) => write(a, [put({ id, n: 2 })])));
    expect(outcomes.map((o) => (o.status === "fulfilled" ? "done" : codeOf(o.reason)))).toEqual([
      "CORRUPT",
      "done",
      "CORRUPT",
    ]);
  });

  test("[MV8] in any bit of the manifest or the fence is reported, never believed", async () => {
    const world = new World();
    const a = await world.open();
    for (let n = 1; n <= 3; n++) await write(a, [put({ id: "a", n })]);
    await world.upkeep(a);
    for (let n = 4; n <= 6; n++) await write(a, [put({ id: "a", n })]);
    for (const row of [readRoot, readFence]) {
      ok(row.kind === "get");
      const { store, key } = row;
      const value = valueOf((await a.storage.read([row]))[0])!;
      for (let bit = 0; bit < value.length * 8; bit++) {
        world.medium.damage(databaseName, store, key, bit >> 3, bit & 7);
        const outcome = await world.open().then(contents, codeOf);
        expect(outcome, `${key}, bit ${bit & 7} of byte ${bit >> 3}`).toBe("CORRUPT");
        world.medium.damage(databaseName, store, key, bit >> 3, bit & 7);
      }
    }
    expect(await contents(await world.open())).toEqual(["a=6"]);
  });
});

describe("damage at the log's end under an open tab", () => {
  /** Tab a has committed a=1 … a=5, and the third of these entries is damaged. */
  async function damaged(): Promise<{ world: World; a: Tab; head: number }> {
    const world = new World();
    const a = await world.open();
    for (let n = 1; n <= 5; n++) await write(a, [put({ id: "a", n })]);
    const head = a.database.store.head.seq;
    world.medium.damage(databaseName, "log", head - 2, 20);
    return { world, a, head };
  }

  test("[MV4][MV8] an entry appended behind what was struck, within another's group, is struck too", async () => {
    const { world, a, head } = await damaged();
    const b = await world.open();
    expect(b.database.store.head.seq).toBe(head - 3);
    await write(b, [put({ id: "b", n: 0 })]);
    await Promise.all([1, 2, 3, 4, 5].map((n) => write(b, [put({ id: "b", n })])));
    let steps = 0;
    world.medium.onStep = () => (++steps > 500 ? "crash" : "go"); // rather than to strike for ever
    await write(a, [put({ id: "a", n: 6 })]);
    expect(await contents(await world.open())).toEqual(["a=6", "b=5"]);
  });

  test("[MV2][MV9] a view of struck commits does not show what took their place", async () => {
    const { world, a } = await damaged();
    const view = await begin(a, 1, "snapshot", false);
    const b = await world.open();
    for (let n = 11; n <= 15; n++) await write(b, [put({ id: "a", n })]);
    await a.database.store.follow();
    const seen = await itemOf(view, "a").then((i) => i?.n, codeOf);
    expect([5, "STORAGE_LOST", "VIEW_RELEASED"]).toContain(seen);
  });

  test.each(["serializable", "snapshot"] as const)(
    "[MV3][MV9] a %s transaction that read struck commits does not commit",
    async (isolation) => {
      const { world, a } = await damaged();
      const tx = await begin(a, 1, isolation);
      const n = (await itemOf(tx, "a"))!.n;
      const b = await world.open();
      await write(b, [put({ id: "a", n: 100 })]);
      const outcome = await commit(a, 1, [put({ id: "a", n: n + 1 })]).then(() => "committed", codeOf);
      expect(["CONFLICT", "STORAGE_LOST", "VIEW_RELEASED"]).toContain(outcome);
    },
  );

  test("[MV2][VG3] a floor that outlived struck commits does not cost later views their versions", async () => {
    const world = new World();
    const a = await world.open();
    for (let n = 1; n <= 5; n++) await write(a, [put({ id: "a", n })]);
    // Upkeep raises the floor and dies before it stages a block.
    world.medium.onStep = (s) =>
      s.kind === "commit" && s.batch.stores?.join() === "blocks" && isUpkeep(s.batch.reads) ? "crash" : "go";
    await expect(world.upkeep(a)).rejects.toSatisfy((e) => isTidemarkError(e, "STORAGE_LOST"));
    world.medium.onStep = undefined;
    world.kill(a);
    world.medium.damage(databaseName, "log", 4, 20);
    const b = await world.open();
    const view = await begin(b, 1, "snapshot", false);
    const before = await itemsIn(view);
    expect(before).toEqual([{ id: "a", n: 2 }]);
    await write(b, [put({ id: "a", n: 50 })]);
    await write(b, [put({ id: "a", n: 51 })]);
    await world.upkeep(b);
    expect(await itemsIn(view)).toEqual(before);
  });

  test("[MV2][VG3][TB7] a pin raised by a tab that knows of no strike holds its views after it", async () => {
    const { world, a } = await damaged();
    const b = await world.open();
    await world.raise(a);
    await a.database.store.follow();
    const view = await begin(a, 1, "snapshot", false);
    const before = await itemsIn(view);
    expect(before).toEqual([{ id: "a", n: 2 }]);
    for (let n = 50; n < 55; n++) await write(b, [put({ id: "a", n })]);
    await world.upkeep(b);
    expect(await itemsIn(view)).toEqual(before);
  });
});

const isUpkeep = (reads: readonly unknown[] = []): boolean =>
  reads.length === 1 && (reads[0] as { readonly key?: unknown }).key === "upkeep";
