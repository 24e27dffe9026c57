/**
 * WebKitGTK gives an origin as much as it asks for, so what it can run out of is the disk. Here it has a small one of its
 * own, with some ballast on it. Of a commit for which there is no room it tells that it was not done, and not why; so
 * unlike a quota that is used up this is STORAGE_LOST, and deletes may be refused as well.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "@playwright/test";
import { webkitPaths } from "../tools/browser-paths.mjs";
import { openSite } from "./site.ts";
import { pageThat, startBrowser, tellsOf } from "./undriven.ts";
import { openDisplay } from "./webdriver.ts";

const paths = webkitPaths();
test.skip(!paths, "WEBKIT IS MISSING, NOTHING IS TESTED IN IT: see node tools/browsers.mjs");

interface Told {
  readonly numbers: readonly number[];
  readonly damage: readonly unknown[];
  /** How a put and a delete ended. */
  readonly put: string;
  readonly deletion: string;
}

/** Runs in the page: puts records until one is refused, tells what is there then, and goes on once it can. */
const fillAndGoOn = async (): Promise<void> => {
  const tell = (what: string, value: unknown): Promise<unknown> =>
    fetch(`/${what}`, { method: "POST", body: JSON.stringify(value) });
  const outcome = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => "done",
      (e: unknown) => (tidemark.isTidemarkError(e) ? `${e.code} ${String(e.details["outcome"])}` : String(e)),
    );
  const put = (n: number): Promise<string> =>
    outcome(lab.items.put({ id: n, n, value: crypto.getRandomValues(new Uint8Array(20_000)) }));
  const found = async () => ({
    numbers: (await lab.items.all()).map(({ n }) => n),
    damage: (await lab.db.verify()).damage,
  });
  let n = 0;
  let last = await put(n);
  while (last === "done") last = await put(++n);
  await tell("full", { ...(await found()), put: last, deletion: await outcome(lab.items.delete(0)) });
  while ((last = await put(n)) !== "done") await new Promise((resolve) => setTimeout(resolve, 100));
  await lab.db.checkpoint();
  await tell("after", { ...(await found()), put: last, deletion: await outcome(lab.items.delete(0)) });
};

/** In a namespace of its own, where the profile `$0` is a disk of 24 MB, a third of it taken. */
const onSmallDisk = (profile: string): readonly string[] => {
  const mount = 'mount -t tmpfs -o size=24m small "$0" && head -c 8000000 /dev/zero > "$0/ballast" && exec "$@"';
  return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, profile];
};

test("[MV9] on a full disk writes are refused and everything stays readable; when there is room they go on", async () => {
  test.setTimeout(60_000);
  const profile = mkdtempSync(path.join(tmpdir(), "tidemark-small-"));
  const [command, ...args] = onSmallDisk(profile);
  test.skip(spawnSync(command!, [...args, "true"]).status !== 0, "no small disk can be made here");
  const told: Told[] = [];
  const site = await openSite({
    "/fill": pageThat(fillAndGoOn),
    "/full": tellsOf((value: Told) => told.push(value)),
    "/after": tellsOf((value: Told) => told.push(value)),
  });
  const display = await openDisplay(paths!.screen);
  const browser = startBrowser(profile, display, `${site.origin}/fill?memtableMaxBytes=262144`, onSmallDisk(profile));
  const exited = once(browser, "exit");
  try {
    await expect.poll(() => told.length, { timeout: 30_000 }).toBe(1);
    const [full] = told;
    console.log(`  full with ${full!.numbers.length} records`);
    expect(full).toEqual({
      numbers: full!.numbers.map((_, n) => n),
      damage: [],
      put: "STORAGE_LOST none",
      deletion: expect.stringMatching(/^(done|STORAGE_LOST none)$/) as unknown, // a small one may find room
    });
    expect(full!.numbers.length).toBeGreaterThan(100);
    rmSync(`/proc/${browser.pid!}/root${profile}/ballast`);
    await expect.poll(() => told.length, { timeout: 20_000 }).toBe(2);
    const all = Array.from({ length: full!.numbers.length + 1 }, (_, n) => n);
    const numbers = full!.deletion === "done" ? all.slice(1) : all;
    expect(told[1]).toEqual({ numbers, damage: [], put: "done", deletion: "done" });
  } finally {
    process.kill(-browser.pid!, "SIGKILL");
    await exited;
    display.close();
    await site.close();
    rmSync(profile, { recursive: true, force: true });
  }
});
