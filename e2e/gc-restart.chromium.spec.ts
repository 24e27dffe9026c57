import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type BrowserContext, chromium, expect, type Page, test } from "@playwright/test";
import { chromiumLaunch } from "../tools/browser-paths.mjs";
import {
  everyRecordAt,
  expectClean,
  explain,
  kilobytes,
  metrics,
  numbersIn,
  records,
  roundBytes,
  runGc,
  writeRounds,
} from "./gc.ts";
import { openTab } from "./lab.ts";
import { browserProcessOf } from "./processes.ts";

const killBrowser = async (context: BrowserContext): Promise<void> => {
  const gone = new Promise((resolve) => context.once("close", resolve));
  process.kill(await browserProcessOf(context), "SIGKILL");
  await gone;
};

const readSnapshot = (page: Page, name: string): Promise<(number | undefined)[]> =>
  page.evaluate(async (snapshot) => {
    const view = await lab.db.snapshots.view(snapshot);
    const all = await view.collection("items").all();
    view.release();
    return all.map(({ n }) => n);
  }, name);

const rounds = 5;

test("[VG1][MV5] snapshots outlive a SIGKILL of the browser; what they keep goes when they are deleted", async ({
  baseURL,
}) => {
  const profile = mkdtempSync(path.join(tmpdir(), "tidemark-snapshots-"));
  const start = (): Promise<BrowserContext> =>
    chromium.launchPersistentContext(profile, { ...chromiumLaunch, baseURL: baseURL! });
  let context = await start();
  const before = await openTab(context);
  await writeRounds(before, 0, 0);
  const made = await before.evaluate(() => lab.db.snapshots.create("before"));
  await writeRounds(before, 1, rounds - 1);
  await runGc(before);
  await writeRounds(before, rounds, rounds);
  await before.evaluate(() => lab.db.snapshots.create("last")); // is on the disk, and all that came before it
  await killBrowser(context);

  context = await start();
  const after = await openTab(context);
  const names = (await after.evaluate(() => lab.db.snapshots.list())).map(({ name, seq }) => ({ name, seq }));
  expect(names).toEqual([
    { name: "before", seq: made.seq },
    { name: "last", seq: expect.any(Number) },
  ]);
  expect(await numbersIn(after)).toEqual(everyRecordAt(rounds));
  expect(await readSnapshot(after, "before")).toEqual(everyRecordAt(0));
  expect(await readSnapshot(after, "last")).toEqual(everyRecordAt(rounds));
  const { heldBack } = await runGc(after);
  const full = await metrics(after);
  expect(full.floor).toBe(made.seq);
  expect(heldBack[0]).toMatchObject({ kind: "snapshot", owner: "before" });
  expect(heldBack[0]!.bytes).toBeGreaterThan(rounds * roundBytes);
  expect((await explain(after)).holders[0]).toMatchObject({
    owner: "before",
    seq: made.seq,
    bytesHeld: heldBack[0]!.bytes,
  });

  await after.evaluate(() => lab.db.snapshots.delete("before"));
  // Nobody asks for it.
  await expect.poll(async () => (await metrics(after)).versions, { timeout: 8000 }).toBeLessThan(records + 10);
  const { blockBytes } = await metrics(after);
  console.log(`  ${kilobytes(full.blockBytes)} in blocks under the snapshot, ${kilobytes(blockBytes)} after it`);
  expect(blockBytes).toBeLessThan(full.blockBytes / rounds);
  expect(await readSnapshot(after, "last")).toEqual(everyRecordAt(rounds));
  await expectClean(after);
  await killBrowser(context);

  context = await start();
  const again = await openTab(context);
  expect((await again.evaluate(() => lab.db.snapshots.list())).map(({ name }) => name)).toEqual(["last"]);
  expect(await numbersIn(again)).toEqual(everyRecordAt(rounds));
  await context.close();
  rmSync(profile, { recursive: true, force: true });
});
