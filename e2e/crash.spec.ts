import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BrowserContext, chromium, expect, firefox, test } from "@playwright/test";
import { chromiumLaunch, firefoxLaunch } from "../tools/browser-paths.mjs";
import { type LabOptions, openPage, openTab, smallestMemtable } from "./lab.ts";
import { browserProcessOn } from "./processes.ts";
import { randomFrom, seedOfRun } from "./storm.ts";

declare global {
  /** Told of each acknowledged commit; lives outside the browser. */
  function survived(n: number): Promise<void>;
}

/** Firefox takes its time to start. */
const roundsIn = { chromium: 4, firefox: 1, webkit: 0 } as const;

/**
 * Commits without end, ten at a time; commit n writes record n and, with it, `last`. The first of the ten is a
 * transaction that reads what it goes on from.
 */
const commitLoop = async (): Promise<void> => {
  await lab.db.open();
  const value = "v".repeat(300);
  const write = (items: Pick<typeof lab.items, "putMany">, n: number): Promise<unknown> =>
    items.putMany([
      { id: n, value },
      { id: "last", n },
    ]);
  const goOn = (): Promise<number> =>
    lab.db.transaction(async (tx) => {
      const items = tx.collection("items");
      const { n = -1 } = (await items.get("last")) ?? {};
      await write(items, n + 1);
      return n + 1;
    });
  for (;;) {
    const first = await goOn();
    const told = [survived(first)];
    const rest = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((more) => first + more);
    await Promise.all(rest.map((n) => write(lab.items, n).then(() => told.push(survived(n)))));
    await Promise.all(told); // or they would lag far behind
  }
};

interface Found {
  readonly ids: readonly number[];
  readonly last: number;
  readonly checkpoint: number;
}

const whatIsThere = async (context: BrowserContext, options: LabOptions): Promise<Found> => {
  const tab = await openTab(context, options);
  const found = await tab.evaluate(async () => {
    const all = await lab.items.all();
    return {
      ids: all.flatMap(({ id }) => (typeof id === "number" ? [id] : [])),
      last: all.find(({ id }) => id === "last")?.n ?? -1,
      checkpoint: (await lab.db.storage.metrics()).checkpoint,
    };
  });
  await tab.close();
  return found;
};

/** Runs the commit loop in a new tab and kills the browser; answers the last acknowledged commit. */
const commitUntilKilled = async (
  context: BrowserContext,
  profile: string,
  options: LabOptions,
  afterMs: number,
): Promise<number> => {
  let acknowledged = -1;
  await context.exposeFunction("survived", (n: number) => void (acknowledged = Math.max(acknowledged, n)));
  const browser = browserProcessOn(profile);
  const gone = new Promise((resolve) => context.once("close", resolve));
  const page = await openPage(context, options);
  const loop = page.evaluate(commitLoop).catch((e: unknown) => String(e));
  await sleep(afterMs);
  process.kill(browser, "SIGKILL");
  await gone;
  expect(await loop).toMatch(/closed|crashed/i);
  return acknowledged;
};

for (const durability of ["strict", "relaxed"] as const) {
  const promise =
    durability === "strict" ? "every acknowledged commit is there, in a dense prefix" : "a dense prefix is there";
  test(`[MV1][MV4][MV5] after SIGKILL of the browser at any moment ${promise} (${durability})`, async ({
    baseURL,
    browserName,
  }) => {
    test.skip(browserName === "firefox" && durability === "relaxed", "strict says all that relaxed does, and more");
    test.setTimeout(90_000);
    const random = randomFrom(seedOfRun());
    const profile = mkdtempSync(path.join(tmpdir(), "tidemark-crash-"));
    const start = (): Promise<BrowserContext> =>
      browserName === "chromium"
        ? chromium.launchPersistentContext(profile, { ...chromiumLaunch, baseURL: baseURL! })
        : firefox.launchPersistentContext(profile, { ...firefoxLaunch, baseURL: baseURL! });
    const options = { ...smallestMemtable, durability };
    let context = await start();
    for (let round = 0; round < roundsIn[browserName]; round++) {
      // The first always has the time to commit something; others may be hit while they open.
      const afterMs = Math.round(random() * 900) + (round === 0 ? 600 : 0);
      const acknowledged = await commitUntilKilled(context, profile, options, afterMs);
      context = await start();
      const { ids, last, checkpoint } = await whatIsThere(context, options);
      console.log(`  ${afterMs} ms: acknowledged ${acknowledged}, found ${last}; checkpoint ${checkpoint}`);
      expect(ids).toEqual(ids.map((_, i) => i));
      expect(ids).toHaveLength(last + 1);
      if (durability === "strict") expect(last).toBeGreaterThanOrEqual(acknowledged);
      if (round === 0) expect(acknowledged).toBeGreaterThan(0);
    }
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  });
}
