import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteWriter } from "./base/bytes.ts";
import type { Definition } from "./codec/schema.ts";
import { unpackValues } from "./codec/values.ts";
import { RecordBatch } from "./client/records.ts";
import { type Item, item, openPage, outcome, type Page, range } from "./host-page.test-support.ts";
import { simulate, type World } from "./testing/world.ts";
import type { MoveSlice } from "./protocol/messages.ts";

const definition = (version: number): Definition => ({
  version,
  dropCollections: [],
  collections: { items: { key: "id", indexes: { tags: { path: "tags", unique: false, multi: true } } } },
  migrations: version === 1 ? [] : [2],
});

const doubled = (one: Item): Item => ({ ...one, n: one.n * 2 });

async function filled(world: World, count: number): Promise<Page> {
  const page = await openPage(world, "old", { definition: definition(1) });
  for (let i = 0; i < count; i += 100) await page.put(...range(i, Math.min(count, i + 100)));
  return page;
}

const newer = (world: World, name: string): Promise<Page> => openPage(world, name, { definition: definition(2) });

const begin = (page: Page): Promise<void> =>
  page.call<"move-begin">({ op: "move-begin", version: 2, collection: "items" });
const read = (page: Page): Promise<MoveSlice | undefined> => page.call<"move-read">({ op: "move-read", version: 2 });

function writesOf({ values, into }: MoveSlice): Uint8Array {
  const records = (unpackValues(values) as Item[]).map(doubled);
  return records.length === 0
    ? new ByteWriter(0).finish()
    : RecordBatch.of("items", "add", records).writes(into).writes;
}
const write = (page: Page, slice: MoveSlice, writes: Uint8Array): Promise<void> => {
  const { epoch, after, last, done, total } = slice;
  return page.call<"move-write">({ op: "move-write", version: 2, writes, epoch, after, last, done, total });
};

/** As the client does. Answers how many slices it moved. */
async function migrate(page: Page): Promise<number> {
  await begin(page);
  for (let n = 0; ; n++) {
    const slice = await read(page);
    if (!slice) return n;
    await write(page, slice, writesOf(slice));
  }
}

describe("a migration record by record", () => {
  test("[MV10] goes on at the cursor in another tab when the one that did it dies", () =>
    simulate(async (world) => {
      const old = await filled(world, 1500);
      const first = await newer(world, "first");
      await begin(first);
      for (let i = 0; i < 3; i++) {
        const slice = (await read(first))!;
        await write(first, slice, writesOf(slice));
      }
      expect(await outcome(old.put(item(1)))).toBe("SCHEMA_OUTDATED");
      expect((await old.all()).length).toBe(1500);
      first.process.kill();
      const second = await newer(world, "second");
      const slice = (await read(second))!;
      expect(slice.done).toBeGreaterThan(600);
      await migrate(second);
      await second.close();
      const third = await openPage(world, "third", { definition: definition(2) });
      expect(await third.all()).toEqual(range(0, 1500).map(doubled));
      // The older tab reads what was before.
      expect(await old.all()).toEqual(range(0, 1500));
      expect(await outcome(old.put(item(1)))).toBe("SCHEMA_OUTDATED");
    }));

  test("[MV10] that is frozen keeps nobody for long, and writes nothing when it wakes", () =>
    simulate(async (world) => {
      await filled(world, 1000);
      const first = await newer(world, "first");
      await begin(first);
      const slice = (await read(first))!;
      first.process.freeze();
      const from = world.now;
      const second = await newer(world, "second");
      expect(world.now - from).toBeLessThan(8000);
      await migrate(second);
      first.process.thaw();
      await world.sleep(100);
      expect(await outcome(write(first, slice, writesOf(slice)))).toBe("CONFLICT");
      expect(await read(first)).toBeUndefined();
      expect(await second.all()).toEqual(range(0, 1000).map(doubled));
      expect((await second.verify()).damage).toEqual([]);
    }));

  test("[MV10] that is given up leaves nothing in the way", () =>
    simulate(async (world) => {
      const old = await filled(world, 1000);
      const first = await newer(world, "first");
      await begin(first);
      const slice = (await read(first))!;
      await write(first, slice, writesOf(slice));
      await first.call<"move-cancel">({ op: "move-cancel", version: 2 });
      await first.close();
      await world.sleep(100);
      await old.put(item(3, 33));
      const second = await newer(world, "second");
      await migrate(second);
      expect((await second.get(item(3).id))!.n).toBe(66);
      expect((await second.all()).length).toBe(1000);
    }));

  test("[MV10][MV5] whoever dies at whichever storage call, the next one goes on, and every record is changed once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(fc.nat({ max: 60 }), { maxLength: 4 }), (seed, deaths) =>
        simulate(
          async (world) => {
            const old = await filled(world, 700);
            for (const [i, at] of deaths.entries()) {
              const page = await newer(world, `dies${i}`);
              page.process.onCall = ({ n, when }) => {
                if (n === 1 + (at >> 1) && when === (at % 2 === 0 ? "before" : "after")) page.process.kill();
              };
              await Promise.race([migrate(page).catch(() => 0), world.sleep(500)]);
              page.process.kill();
            }
            const last = await newer(world, "last");
            await migrate(last);
            expect(await last.all()).toEqual(range(0, 700).map(doubled));
            expect(await old.all()).toEqual(range(0, 700));
            expect((await last.verify()).damage).toEqual([]);
          },
          { seed },
        ),
      ),
      { numRuns: Number(process.env["MIGRATION_RUNS"] ?? 25) },
    );
  });
});
