import { expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";
import { allItems, openPage, openTab, openTwoTabs, smallestMemtable } from "./lab.ts";

const records = 1500;

/** Flips a bit of every n-th value of a store, past the engine; answers how many. */
const flip = (page: Page, store: "blocks" | "log", every: number): Promise<number> =>
  page.evaluate(
    ([name, step]) =>
      new Promise<number>((resolve, reject) => {
        const opening = indexedDB.open(`tidemark/${lab.db.name}`);
        opening.addEventListener("error", () => reject(opening.error!));
        opening.addEventListener("success", () => {
          const tx = opening.result.transaction(name, "readwrite");
          let [seen, flipped] = [0, 0];
          const walk = tx.objectStore(name).openCursor();
          walk.addEventListener("success", () => {
            const cursor = walk.result;
            if (!cursor) return;
            if (++seen % step === 0) {
              const bytes = (cursor.value as Uint8Array).slice();
              bytes[bytes.length >> 1]! ^= 16;
              cursor.update(bytes);
              flipped++;
            }
            cursor.continue();
          });
          tx.addEventListener("abort", () => reject(tx.error!));
          tx.addEventListener("complete", () => {
            opening.result.close();
            resolve(flipped);
          });
        });
      }),
    [store, every] as const,
  );

/** Of each record by its key: the number in it, or the code of what refused it. */
const numbersByKey = (page: Page): Promise<(number | string)[]> =>
  page.evaluate(
    (count) =>
      Promise.all(
        Array.from({ length: count }, async (_, id) => {
          try {
            return (await lab.items.get(id))?.n ?? "missing";
          } catch (e) {
            return tidemark.isTidemarkError(e) ? e.code : String(e);
          }
        }),
      ),
    records,
  );

test("[MV8] bits that flip in stored blocks are told, with what they cover; all else is read, written and salvaged", async ({
  context,
}) => {
  const writer = await openTab(context, smallestMemtable);
  await writer.evaluate(async (count) => {
    for (let from = 0; from < count; from += 100) {
      const batch = Array.from({ length: 100 }, (_, i) => ({
        id: from + i,
        n: 2 * (from + i),
        value: "v".repeat(400),
      }));
      await lab.items.putMany(batch);
    }
    await lab.db.checkpoint();
  }, records);
  expect((await writer.evaluate(() => lab.db.verify())).damage).toEqual([]);
  await writer.close();
  const [a, b] = await openTwoTabs(context, smallestMemtable);
  const flipped = await flip(a, "blocks", 4);
  expect(flipped).toBeGreaterThan(2);

  const found = await numbersByKey(a);
  const lost = new Set(found.flatMap((n, id) => (n === "CORRUPT" ? [id] : [])));
  console.log(`  ${flipped} blocks damaged, and with them ${lost.size} of ${records} records`);
  expect(lost.size).toBeGreaterThan(0);
  expect(lost.size).toBeLessThan(records / 2);
  expect(found).toEqual(Array.from({ length: records }, (_, id) => (lost.has(id) ? "CORRUPT" : 2 * id)));
  expect(await numbersByKey(b)).toEqual(found);
  const code = a.evaluate(() => lab.items.all().catch((e: unknown) => tidemark.isTidemarkError(e) && e.code));
  expect(await code).toBe("CORRUPT");

  const { damage } = await b.evaluate(() => lab.db.verify());
  expect(damage).toHaveLength(flipped);
  const ofRecords = damage.filter(({ from }) => from?.collection === "items" && from.index === undefined);
  const covered = (id: number): boolean =>
    ofRecords.some(({ from, to }) => Number(from!.key) <= id && id <= Number(to!.key));
  expect([...lost].filter((id) => !covered(id))).toEqual([]);

  const salvaged = await b.evaluate(async () => {
    const fresh = await tidemark.openDatabase({ ...lab.options, name: "fresh" });
    const report = await fresh.import(lab.db.salvage());
    const all = await fresh.collection("items").all();
    await fresh.close();
    return { ids: all.map(({ id, n }) => (n === 2 * Number(id) ? id : "wrong")), damage: report.damage };
  });
  expect(salvaged.ids).toEqual(Array.from({ length: records }, (_, id) => id).filter((id) => !lost.has(id)));
  expect(salvaged.damage).toEqual(ofRecords);

  // Both tabs write on, also beside what is damaged.
  await b.evaluate(() => lab.items.put({ id: "new", n: 1 }));
  expect((await a.evaluate(() => lab.items.get("new")))?.n).toBe(1);
  const intact = found.findIndex((n) => typeof n === "number");
  await a.evaluate((key) => lab.items.put({ id: key, n: -1 }), intact);
  expect((await b.evaluate((key) => lab.items.get(key), intact))?.n).toBe(-1);
});

test("[MV4][MV5] a bit that flips in the log ends what is found there, a prefix; what is written then is there", async ({
  context,
}) => {
  const writer = await openTab(context);
  await writer.evaluate(async () => {
    for (let n = 0; n < 20; n++) await lab.items.put({ id: n, n });
  });
  await writer.close();
  const bare = await openPage(context);
  expect(await flip(bare, "log", 13)).toBe(1);
  const [a, b] = await openTwoTabs(context);
  const found = (await allItems(a)).map(({ n }) => n);
  console.log(`  ${found.length} of 20 commits lie before the damage`);
  expect(found.length).toBeGreaterThan(8);
  expect(found.length).toBeLessThan(13);
  expect(found).toEqual(found.map((_, i) => i));
  await a.evaluate(() => lab.items.put({ id: 100, n: 100 }));
  await b.evaluate(() => lab.items.put({ id: 101, n: 101 }));
  await a.evaluate(() => lab.db.checkpoint());
  await b.reload();
  for (const page of [a, b]) expect((await allItems(page)).map(({ n }) => n)).toEqual([...found, 100, 101]);
  expect((await a.evaluate(() => lab.db.verify())).damage).toEqual([]);
});
