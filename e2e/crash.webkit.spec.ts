import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { webkitPaths } from "../tools/browser-paths.mjs";
import { type Answer, openSite } from "./site.ts";
import { randomFrom, seedOfRun } from "./storm.ts";
import { type Display, openDisplay } from "./webdriver.ts";

const paths = webkitPaths();
test.skip(!paths, "WEBKIT IS MISSING, NOTHING IS TESTED IN IT: see node tools/browsers.mjs");

const rounds = 3;

/** Under its driver WebKit keeps nothing on the disk. So it runs without, and its page tells us over HTTP. */
function startBrowser(profile: string, display: Display, url: string): ChildProcess {
  const home = (what: string): string => path.join(profile, what);
  return spawn(paths!.browser, [url], {
    detached: true, // a group of its own: the process that stores things is a child
    stdio: "ignore",
    env: {
      ...process.env,
      DISPLAY: display.name,
      XDG_DATA_HOME: home("data"),
      XDG_CACHE_HOME: home("cache"),
      XDG_CONFIG_HOME: home("config"),
    },
  });
}

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
  const tellsOf =
    (use: (value: never) => void): Answer =>
    (request, response) => {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        use(JSON.parse(body) as never);
        response.writeHead(200).end();
      });
    };
  const lab = readFileSync(fileURLToPath(new URL("../apps/playground/dist/lab.html", import.meta.url)), "utf8");
  const site = await openSite({
    "/round": (_request, response) => {
      response
        .writeHead(200, { "content-type": "text/html" })
        .end(`${lab}<script type="module">(${commitLoop.toString()})();</script>`);
    },
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
