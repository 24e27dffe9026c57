import { expect, type Page, test } from "@playwright/test";
import { openTab, smallestMemtable } from "./lab.ts";

const whaleBytes = 20_000_000;

/** Writes and reads in the page: that much does not pass through Playwright. Words about it leave. */
const writeAll = (page: Page): Promise<void> =>
  page.evaluate(async (sizeBytes) => {
    const whale = Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 31 + (i >> 8)) & 255);
    await lab.items.put({ id: "whale", value: new Blob([whale], { type: "image/x-whale" }) });
    const many = Array.from({ length: 200 }, (_, i) => ({ id: i, group: i % 10, value: `${i},`.repeat(30_000) }));
    await lab.items.putMany(many);
  }, whaleBytes);

const wrongOnes = (page: Page): Promise<readonly string[]> =>
  page.evaluate(async (sizeBytes) => {
    const wrong: string[] = [];
    const { value } = (await lab.items.get("whale")) ?? {};
    if (!(value instanceof Blob) || value.type !== "image/x-whale" || value.size !== sizeBytes) wrong.push("whale");
    else {
      const bytes = new Uint8Array(await value.arrayBuffer());
      if (bytes.some((b, i) => b !== ((i * 31 + (i >> 8)) & 255))) wrong.push("bytes of the whale");
    }
    const all = await lab.items.where("group").above(-1).toArray();
    if (all.length !== 200) wrong.push(`${all.length} records`);
    for (const { id, value: text } of all) if (text !== `${id},`.repeat(30_000)) wrong.push(String(id));
    return wrong;
  }, whaleBytes);

test("[MV6][MV11] a blob of 20 MB and 200 records of 100 KB come back right, also in another tab and after a fold", async ({
  context,
}) => {
  const a = await openTab(context, smallestMemtable);
  await writeAll(a);
  expect(await wrongOnes(a)).toEqual([]);
  await a.evaluate(() => lab.db.checkpoint());
  expect(await wrongOnes(a)).toEqual([]);
  const { blobBytes, blockBytes, logBytes, memtableBytes } = await a.evaluate(() => lab.db.storage.metrics());
  expect(blobBytes).toBeGreaterThan(whaleBytes + 200 * 90_000);
  expect(blobBytes).toBeLessThan(1.05 * (whaleBytes + 200 * 120_000));
  expect(blockBytes + logBytes + memtableBytes).toBeLessThan(200_000);
  const b = await openTab(context, smallestMemtable);
  expect(await wrongOnes(b)).toEqual([]);
});

test("[MV11] other tabs write and read on while a blob of 20 MB is written", async ({ context }) => {
  const a = await openTab(context);
  const b = await openTab(context);
  const writing = writeAll(a);
  const slowestMs = await b.evaluate(async () => {
    let slowest = 0;
    for (let i = 0; i < 100; i++) {
      const start = performance.now();
      await lab.items.put({ id: "other", n: i });
      slowest = Math.max(slowest, performance.now() - start);
    }
    return slowest;
  });
  await writing;
  expect(slowestMs).toBeLessThan(1000);
  expect(await wrongOnes(a)).toEqual([]);
});
