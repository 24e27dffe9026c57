import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Definition, IndexDefinition } from "./codec/schema.ts";
import {
  expectEverywhere,
  expectGone,
  freshItems,
  type Item,
  item,
  openPage,
  type Page,
  range,
} from "./host-page.test-support.ts";
import { simulate, type World } from "./testing/world.ts";
import { tableRange } from "./collections/catalog.ts";

const tags: IndexDefinition = { path: "tags", unique: false, multi: true };
const byN: IndexDefinition = { path: "n", unique: false, multi: false };
const having = (indexes: Record<string, IndexDefinition>): Definition => ({
  version: 1,
  dropCollections: [],
  collections: { items: { key: "id", indexes } },
});
const bare = having({});
const tagged = having({ tags });
const both = having({ tags, n: byN });

const withTags = (one: Item): Item => ({ ...one, tags: [`t${one.n % 5}`, `u${one.n % 3}`] });

async function filled(world: World, count: number): Promise<Page> {
  const page = await openPage(world, "old", { definition: bare });
  for (let i = 0; i < count; i += 100) await page.put(...range(i, Math.min(count, i + 100)).map(withTags));
  return page;
}

const isReady = ({ catalog }: Page): boolean => {
  const indexes = Object.values(catalog.collections["items"]!.indexes);
  return indexes.length > 0 && indexes.every((i) => !i.building);
};
const progress = (page: Page): number[] => page.events.flatMap((e) => (e.type === "upgrade" ? [e.done] : []));

async function underWay(world: World, page: Page): Promise<void> {
  while (progress(page).length < 4) await world.sleep(0.2);
}

/** What an index of the page's catalog holds: exactly the entries of the records there are. */
async function expectExact(page: Page): Promise<void> {
  const items = await freshItems(page);
  const { catalog } = page;
  const { table, indexes } = catalog.collections["items"]!;
  for (const [name, index] of Object.entries(indexes)) {
    const whole = tableRange(index.table);
    const count = { op: "count", handle: 0, epoch: catalog.epoch, ranges: [whole], limit: undefined } as const;
    const entries = await page.call<"count">({ ...count, records: undefined, once: undefined });
    const each = (one: Item): number => (name === "n" ? 1 : new Set(one.tags).size);
    expect(entries).toBe(items.reduce((sum, one) => sum + each(one), 0));
    const found = await page.scan({
      ...whole,
      ranges: [whole],
      once: { within: [whole], at: "least" },
      records: table,
      epoch: catalog.epoch,
    });
    const expected = items.filter((one) => each(one) > 0);
    expect(found.map((one) => one.id).toSorted()).toEqual(expected.map((one) => one.id));
    for (const one of found) expect(one).toEqual(expected.find((e) => e.id === one.id));
  }
}

describe("building an index over several tabs", () => {
  test("[MV10] a builder that dies is followed by another, who goes on where it was", () =>
    simulate(async (world) => {
      const old = await filled(world, 1500);
      const builder = await openPage(world, "builder", { definition: tagged });
      await underWay(world, builder);
      builder.process.kill();
      const reached = progress(old).at(-1)!;
      expect(reached).toBeGreaterThan(100);
      expect(isReady(old)).toBe(false);
      await world.eventually(() => isReady(old), 10_000, "the other tab builds");
      expect(progress(old).filter((done) => done < reached)).toEqual(
        progress(old)
          .filter((done) => done < reached)
          .toSorted((a, b) => a - b),
      );
      await expectExact(old);
    }));

  test("[MV10][TB2] a frozen builder blocks nobody, and does no harm when it wakes", () =>
    simulate(async (world) => {
      const old = await filled(world, 1500);
      const builder = await openPage(world, "builder", { definition: tagged });
      await underWay(world, builder);
      builder.process.freeze();
      const frozenAt = world.now;
      await old.put(withTags(item(3, 77)));
      await old.delete("k0004");
      await world.eventually(() => isReady(old), 10_000, "the other tab builds");
      expect(world.now - frozenAt).toBeLessThan(8000);
      builder.process.thaw();
      await world.sleep(3000);
      expect(isReady(builder)).toBe(true);
      await expectExact(old);
      await expectExact(builder);
      expect(builder.errors).toEqual([]);
      expect((await builder.verify()).damage).toEqual([]);
    }));

  test("[MV10] a query that waits hurries it", () =>
    simulate(async (world) => {
      await filled(world, 2000);
      const page = await openPage(world, "page", { definition: both, page: "visible" });
      // Visible pages grant slices; this one never does.
      await world.sleep(100);
      expect(isReady(page)).toBe(false);
      const from = world.now;
      const catalog = await page.call<"ready">({ op: "ready", collection: "items", index: "n" });
      expect(catalog.collections["items"]!.indexes["n"]!.building).toBeUndefined();
      expect(world.now - from).toBeLessThan(1000);
      await expectExact(page);
    }));

  type Step =
    | { readonly kind: "put" | "delete"; readonly by: number; readonly at: readonly number[]; readonly n: number }
    | { readonly kind: "many"; readonly by: number; readonly from: number }
    | { readonly kind: "pass"; readonly ms: number }
    | { readonly kind: "declare"; readonly by: number; readonly isBoth: boolean }
    | { readonly kind: "kill" | "freeze" | "thaw" | "checkpoint" | "clear"; readonly by: number };

  const by = fc.nat({ max: 1 });
  const ats = fc.array(fc.nat({ max: 420 }), { minLength: 1, maxLength: 12 });
  const n = fc.nat({ max: 50 });
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom("put", "delete"), by, at: ats, n }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("many"), by, from: fc.nat({ max: 400 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.nat({ max: 60 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("declare"), by, isBoth: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("kill", "freeze", "thaw", "checkpoint", "clear"), by }) },
  ) as fc.Arbitrary<Step>;

  /** Two tabs, and what their database should hold. */
  class Story {
    readonly model = new Map<string, Item>();
    readonly pages: Page[] = [];
    readonly #world: World;
    #n = 0;

    constructor(world: World) {
      this.#world = world;
    }

    async begin(count: number): Promise<void> {
      const page = await filled(this.#world, count);
      for (const one of range(0, count).map(withTags)) this.model.set(one.id, one);
      this.pages.push(page, await this.#open(bare));
    }

    #open(definition: Definition): Promise<Page> {
      return openPage(this.#world, `tab${this.#n++}`, { definition, memtableMaxBytes: 64 * 1024 });
    }

    async run(s: Step): Promise<void> {
      if (s.kind === "pass") return this.#world.sleep(s.ms);
      const page = this.pages[s.by]!;
      switch (s.kind) {
        case "thaw":
          return page.process.thaw();
        case "kill":
          return this.#replace(s.by, bare);
        case "declare":
          return this.#replace(s.by, s.isBoth ? both : tagged);
        default:
      }
      if (page.process.isFrozen) return;
      switch (s.kind) {
        case "freeze":
          return page.process.freeze();
        case "checkpoint":
          return page.checkpoint();
        case "clear":
          await page.clear();
          return this.model.clear();
        case "many":
          return this.#put(page, range(s.from, s.from + 60).map(withTags));
        case "put":
          for (const one of s.at) await this.#put(page, [withTags(item(one, s.n))]);
          return;
        case "delete":
          await page.delete(...s.at.map((one) => item(one).id));
          for (const one of s.at) this.model.delete(item(one).id);
          return;
        default:
      }
    }

    async #replace(at: number, definition: Definition): Promise<void> {
      const { process } = this.pages[at]!;
      process.thaw();
      process.kill();
      this.pages[at] = await this.#open(definition);
    }

    async #put(page: Page, items: readonly Item[]): Promise<void> {
      await page.put(...items);
      for (const one of items) this.model.set(one.id, one);
    }

    /** Everybody declares both indexes, and in the end they are there. */
    async end(): Promise<void> {
      for (const page of this.pages) page.process.thaw();
      const last = await this.#open(both);
      await this.#world.eventually(() => isReady(last), 30_000, "both indexes are built");
      await expectExact(last);
      await expectEverywhere(this.#world, [...this.pages, last], this.model.values());
      await last.close();
    }
  }

  test("[MV10] whatever is written, declared and lost meanwhile, an index holds exactly the entries of the records", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(0, 40, 400, 1500),
        (seed, steps, count) =>
          simulate(
            async (world) => {
              const story = new Story(world);
              await story.begin(count);
              for (const s of steps) await story.run(s);
              await story.end();
            },
            { seed },
          ),
      ),
      { numRuns: Number(process.env["INDEX_RUNS"] ?? 60) },
    );
  }, 120_000);

  test("[MV9][MV10] a tab whose build met a full disk closes as ever", () =>
    simulate(async (world) => {
      await (await filled(world, 300)).close();
      const page = await openPage(world, "new", { definition: tagged });
      world.medium.quotaBytes = world.medium.usedBytes;
      await world.eventually(() => page.errors.includes("QUOTA_EXCEEDED"), 10_000, "the build fails");
      await page.close();
      expectGone(world, page);
    }));
});
