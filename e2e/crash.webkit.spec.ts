import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "@playwright/test";
import { webkitPaths } from "../tools/browser-paths.mjs";
import { openSite } from "./site.ts";
import { randomFrom, seedOfRun } from "./storm.ts";
import { pageThat, startBrowser, tellsOf } from "./undriven.ts";
import { openDisplay } from "./webdriver.ts";

const paths = webkitPaths();
test.skip(!paths, "WEBKIT IS MISSING, NOTHING IS TESTED IN IT: see node tools/browsers.mjs");

const rounds = 3;

/** Runs in the page: tells what is there, then commits n + 1, n + 2, … and tells of each that is acknowledged. */
const commitLoop = async (): Promise<void> => {
  const tell = (what: string, value: unknown): Promise<unknown> =>
    fetch(`/${what}`, { method: "POST", body: JSON.stringify(value) });
  try {
    const items = await lab.items.all();
    const { damage } = await lab.db.verify();
    await tell("found", { ids: items.map(({ id }) => id), damage });
    for (let n = items.length; ; n++) {
      await lab.items.put({ id: n, value: "v".repeat(300) });
      await tell("acknowledged", n);
    }
  } catch (e) {
    await tell("failed", String(e));
  }
};

interface Found {
  readonly ids: readonly number[];
  readonly damage: readonly unknown[];
}

test("[MV1][MV4][MV5] after SIGKILL of the browser at any moment every acknowledged strict commit is there, in a dense prefix", async () => {
  test.setTimeout(60_000);
  const random = randomFrom(seedOfRun());
  let acknowledged = -1;
  const found: Found[] = [];
  const failures: unknown[] = [];
  const site = await openSite({
    "/round": pageThat(commitLoop),
    "/found": tellsOf((value: Found) => found.push(value)),
    "/acknowledged": tellsOf((n: number) => (acknowledged = Math.max(acknowledged, n))),
    "/failed": tellsOf((e: unknown) => failures.push(e)),
  });
  const display = await openDisplay(paths!.screen);
  const profile = mkdtempSync(path.join(tmpdir(), "tidemark-webkit-"));
  const url = `${site.origin}/round?durability=strict&memtableMaxBytes=65536`;
  for (let round = 0; round <= rounds; round++) {
    const before = acknowledged;
    const browser = startBrowser(profile, display, url);
    const exited = once(browser, "exit");
    try {
      await expect.poll(() => found.length, { timeout: 20_000, intervals: [50] }).toBe(round + 1);
      await expect.poll(() => acknowledged, { timeout: 10_000, intervals: [20] }).toBeGreaterThan(before);
      await sleep(Math.round(random() * 700));
    } finally {
      process.kill(-browser.pid!, "SIGKILL");
      await exited;
    }
    const { ids, damage } = found[round]!;
    console.log(`  acknowledged ${before}, found ${ids.length - 1}`);
    expect(ids).toEqual(ids.map((_, i) => i));
    expect(ids.length).toBeGreaterThan(before);
    expect(damage).toEqual([]);
  }
  expect(failures).toEqual([]);
  expect(acknowledged).toBeGreaterThan(rounds);
  display.close();
  await site.close();
  rmSync(profile, { recursive: true, force: true });
});
