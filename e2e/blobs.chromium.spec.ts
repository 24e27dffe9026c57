/** A large blob passes through page and worker piece by piece: neither heap ever has much of it, and the bytes are right. */
import { expect, type Page, test } from "@playwright/test";
import { HeapWatch } from "../bench/scale/heap.mjs";
import { openPage } from "./lab.ts";

const sizeBytes = 300 * 2 ** 20;
const maxGrowthBytes = 32 * 2 ** 20;
const megabyte = 2 ** 20;

/** Byte i of megabyte n is (i * 31 + (i >> 8) + n * 7) & 255. */
const makeBlob = (page: Page): Promise<void> =>
  page.evaluate(async (bytes) => {
    const pieces: Blob[] = [];
    const piece = new Uint8Array(2 ** 20);
    for (let n = 0; n < bytes / piece.length; n++) {
      for (let i = 0; i < piece.length; i++) piece[i] = i * 31 + (i >> 8) + n * 7;
      pieces.push(new Blob([piece]));
      if (n % 16 === 0) await new Promise((resolve) => setTimeout(resolve)); // or all of it waits for the browser to take it
    }
    Object.assign(globalThis, { movie: new File(pieces, "movie.mp4", { type: "video/mp4", lastModified: 7 }) });
  }, sizeBytes);

/** What is wrong with the stored one; empty for nothing. */
const faultsOf = (page: Page): Promise<string> =>
  page.evaluate(async (bytes) => {
    const found = (await lab.items.get("movie"))?.value;
    if (!(found instanceof File)) return "it is no file";
    const about = [found.name, found.type, found.lastModified, found.size].join();
    if (about !== `movie.mp4,video/mp4,7,${bytes}`) return about;
    for (let n = 0; n < bytes / 2 ** 20; n++) {
      const piece = new Uint8Array(await found.slice(n * 2 ** 20, (n + 1) * 2 ** 20).arrayBuffer());
      for (let i = 0; i < piece.length; i++)
        if (piece[i] !== ((i * 31 + (i >> 8) + n * 7) & 255)) return `byte ${i} of megabyte ${n}`;
    }
    return "";
  }, sizeBytes);

test("[MV6][MV11] a file of 300 MB is written, read, exported and imported in some MB of either heap", async ({
  context,
}) => {
  test.setTimeout(240_000);
  const page = await openPage(context);
  const watch = await HeapWatch.of(page);
  await page.evaluate(() => lab.db.open().then(() => undefined));
  await makeBlob(page);
  const before = await watch.held();
  const measured = async (phase: string, work: () => Promise<unknown>): Promise<void> => {
    const startedAt = performance.now();
    const { result, live, peak } = await watch.during(
      phase,
      async () => {
        await work();
        return (performance.now() - startedAt) / 1000;
      },
      { collects: true },
    );
    const grown = { page: live.page - before.page, worker: live.worker - before.worker };
    console.log(
      `  ${phase}: ${Math.round(sizeBytes / megabyte / result)} MB/s; the page's heap grew by ${mb(grown.page)},`,
      `the worker's by ${mb(grown.worker)}; at most ${mb(peak.page)} and ${mb(peak.worker)} with garbage`,
    );
    expect(grown.page).toBeLessThan(maxGrowthBytes);
    expect(grown.worker).toBeLessThan(maxGrowthBytes);
  };
  await measured("write", () =>
    page.evaluate(() => lab.items.put({ id: "movie", value: Reflect.get(globalThis, "movie") as File })),
  );
  await measured("read", async () => expect(await faultsOf(page)).toBe(""));
  await measured("export", () =>
    page.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      const file = await folder.getFileHandle("export", { create: true });
      await lab.db.export().pipeTo(await file.createWritable());
    }),
  );
  await page.evaluate(() => lab.items.clear());
  await measured("import", () =>
    page.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      const file = await (await folder.getFileHandle("export")).getFile();
      await lab.db.import(file.stream());
    }),
  );
  expect(await faultsOf(page)).toBe("");
  expect((await page.evaluate(() => lab.db.verify())).damage).toEqual([]);
});

const mb = (bytes: number): string => `${(bytes / megabyte).toFixed(1)} MB`;
