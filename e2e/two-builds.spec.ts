/**
 * A deployment while tabs are open: tabs of two builds of Tidemark on one database, each with its worker. The build of
 * tomorrow is `packages/tidemark/rolldown.builds.config.ts`'s.
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { type BrowserContext, expect, type Page } from "@playwright/test";
import { test } from "./engines.ts";

type Build = "present" | "whole" | "all";
const engine = fileURLToPath(new URL("../packages/tidemark", import.meta.url));
const builds = new URL("../node_modules/.cache/tidemark-builds/", import.meta.url);

interface Row {
  id: string;
  n: number;
}
interface App {
  readonly db: ReturnType<typeof open>;
  readonly told: unknown[];
}
declare global {
  var app: App;
  var worker: Worker;
}
const open = (name: string) =>
  tidemark.createDatabase({
    name,
    collections: { rows: tidemark.collection<Row>()({ key: "id", indexes: { n: "n" } }) },
  });

let server: Server;
let origin: string;
/** What whoever loads the page gets from now on. */
let deployed: Build;

const page = (build: string): string =>
  `<!doctype html><title>${build}</title><script type="module">
    import * as tidemark from "./${build}/index.js";
    Object.assign(globalThis, { tidemark });
  </script>`;

/** `/` has each build at an address of its own, as with hashed names; under `/flat` the deployed one has them all. */
async function answerOf(path: string): Promise<{ type: string; body: string | Buffer }> {
  if (path === "/") return { type: "text/html", body: page(deployed) };
  if (path === "/flat") return { type: "text/html", body: page("current") };
  const file = path.replace(/^\/current\//, `/${deployed}/`);
  if (!/^\/(present|whole|all)\/[a-z-]+\.js$/.test(file)) throw new Error(`nothing at ${path}`);
  return { type: "text/javascript", body: await readFile(new URL(`.${file}`, builds)) };
}

test.beforeAll(async () => {
  execFileSync("pnpm", ["run", "builds"], { cwd: engine, stdio: "ignore" });
  server = createServer((request, response) => {
    void answerOf(new URL(request.url ?? "/", "http://x").pathname).then(
      ({ type, body }) => response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  origin = `http://localhost:${(server.address() as AddressInfo).port}`;
});
test.afterAll(() => {
  server.closeAllConnections();
  server.close();
});
test.beforeEach(() => {
  deployed = "present";
});

const loaded = (of: Page): Promise<unknown> => of.waitForFunction(() => "tidemark" in globalThis);

async function tab(context: BrowserContext, path = "/"): Promise<Page> {
  const opened = await context.newPage();
  await opened.goto(origin + path);
  await loaded(opened);
  return opened;
}

/** Opens the database in the page; answers the code of what refused it, if anything did. */
const start = (of: Page, makesWorker = false): Promise<string | undefined> =>
  of.evaluate(async (own) => {
    const make = () => (globalThis.worker = new Worker("./current/worker.js", { type: "module" }));
    const db = tidemark.createDatabase({
      name: "deployed",
      collections: { rows: tidemark.collection<Row>()({ key: "id", indexes: { n: "n" } }) },
      ...(own ? { worker: make } : {}),
    });
    const told: unknown[] = [];
    for (const event of ["outdated", "closed", "error"] as const) {
      db.on(event, (what) => told.push([event, event === "error" ? String(what) : what]));
    }
    globalThis.app = { db, told };
    try {
      await db.open();
      return undefined;
    } catch (e) {
      return tidemark.isTidemarkError(e) ? e.code : String(e);
    }
  }, makesWorker);

/** Puts records with these numbers; answers the code of what refused it, or "done". */
const put = (of: Page, from: number, to: number): Promise<string> =>
  of.evaluate(
    async ([a, b]) => {
      const rows = Array.from({ length: b! - a! }, (_, i) => ({ id: `r${a! + i}`, n: a! + i }));
      try {
        await app.db.collection("rows").putMany(rows);
        return "done";
      } catch (e) {
        return tidemark.isTidemarkError(e) ? e.code : String(e);
      }
    },
    [from, to],
  );

const numbers = (of: Page): Promise<number[]> =>
  of.evaluate(async () => (await app.db.collection("rows").where("n").toArray()).map(({ n }) => n));
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const told = (of: Page): Promise<unknown[]> => of.evaluate(() => app.told);

for (const next of ["whole", "all"] as const) {
  test(`[MV10] an old tab is told as the new build opens, harms nothing, and works after a reload (${next})`, async ({
    context,
  }) => {
    const old = await tab(context);
    expect(await start(old)).toBeUndefined();
    expect(await put(old, 0, 500)).toBe("done");
    await old.evaluate(() => app.db.checkpoint());
    expect(await put(old, 500, 520)).toBe("done");

    deployed = next;
    const now = await tab(context);
    expect(await start(now)).toBeUndefined();
    expect(await numbers(now)).toEqual(upTo(520));
    await expect.poll(() => told(old)).toEqual([["outdated", { reason: "format", declared: 1 }]]);
    expect(await put(now, 520, 600)).toBe("done");

    expect(await put(old, 900, 910)).toBe("FORMAT_UNSUPPORTED");
    const read = await old.evaluate(async () => {
      const own = await app.db.collection("rows").get("r510");
      const all = await app.db
        .collection("rows")
        .all()
        .catch((e: unknown) => (tidemark.isTidemarkError(e) ? e.code : String(e)));
      return { own, all: typeof all === "string" ? all : all.length };
    });
    expect(read.own).toEqual({ id: "r510", n: 510 });
    expect([520, "FORMAT_UNSUPPORTED"]).toContain(read.all);

    // Upkeep is the new one's, at once: the old tab has let go of it.
    await now.evaluate(async () => {
      await app.db.checkpoint();
      await app.db.gc.run();
    });
    expect(await put(old, 900, 910)).toBe("FORMAT_UNSUPPORTED");
    expect(await numbers(now)).toEqual(upTo(600));
    expect((await now.evaluate(() => app.db.verify())).damage).toEqual([]);
    expect(await told(old)).toHaveLength(1);
    expect(await told(now)).toEqual([]);

    await old.reload();
    await loaded(old);
    expect(await start(old)).toBeUndefined();
    expect(await numbers(old)).toEqual(upTo(600));
    expect(await put(old, 600, 610)).toBe("done");
    await expect.poll(() => numbers(now)).toEqual(upTo(610));
  });

  test(`[MV10] [MV1] what an old tab writes as the new build opens either counts or is refused (${next})`, async ({
    context,
  }) => {
    const old = await tab(context);
    expect(await start(old)).toBeUndefined();
    await old.evaluate(() => {
      const done: number[] = [];
      const refusals = new Set<string>();
      const writing = (async () => {
        for (let n = 0; refusals.size === 0 && n < 5000; n++) {
          const one = app.db.collection("rows").put({ id: `r${n}`, n });
          await one.then(
            () => done.push(n),
            (e: unknown) => refusals.add(tidemark.isTidemarkError(e) ? e.code : String(e)),
          );
        }
        return { done, refusals: [...refusals] };
      })();
      Object.assign(app, { writing });
    });
    deployed = next;
    const now = await tab(context);
    expect(await start(now)).toBeUndefined();
    const { done, refusals } = await old.evaluate(
      () => (app as unknown as { writing: Promise<{ done: number[]; refusals: string[] }> }).writing,
    );
    expect(refusals).toEqual(["FORMAT_UNSUPPORTED"]);
    expect(done.length).toBeGreaterThan(0);
    expect(await numbers(now)).toEqual(done);
    expect(await told(old)).toEqual([["outdated", { reason: "format", declared: 1 }]]);
  });

  test(`[MV10] the old build does not open what the new one wrote, and leaves it as it is (${next})`, async ({
    context,
  }) => {
    const old = await tab(context);
    deployed = next;
    const now = await tab(context);
    expect(await start(now)).toBeUndefined();
    expect(await put(now, 0, 100)).toBe("done");
    expect(await start(old)).toBe("FORMAT_UNSUPPORTED");
    await now.evaluate(() => app.db.close());
    expect(await start(old)).toBe("FORMAT_UNSUPPORTED");
    await now.reload();
    await loaded(now);
    expect(await start(now)).toBeUndefined();
    expect(await numbers(now)).toEqual(upTo(100));
    expect((await now.evaluate(() => app.db.verify())).damage).toEqual([]);
  });
}

test("[MV10] page and worker of different builds refuse one another, and say what to do", async ({ context }) => {
  const old = await tab(context, "/flat");
  deployed = "all";
  const now = await tab(context, "/flat");
  expect(await start(old, true)).toBe("ENVIRONMENT");
  deployed = "present";
  expect(await start(now, true)).toBe("ENVIRONMENT");
  deployed = "all";
  expect(await start(now, true)).toBeUndefined();
});

test("[MV10] [MV12] a page whose worker dies, and whose next one would be of another build, is closed", async ({
  context,
}) => {
  const old = await tab(context, "/flat");
  expect(await start(old, true)).toBeUndefined();
  expect(await put(old, 0, 10)).toBe("done");
  deployed = "all";
  await old.evaluate(() => worker.terminate());
  await expect.poll(() => told(old)).toContainEqual(["closed", { reason: "crashed" }]);
  expect(await put(old, 10, 20)).toBe("CLOSED");
  await old.reload();
  await loaded(old);
  expect(await start(old, true)).toBeUndefined();
  expect(await numbers(old)).toEqual(upTo(10));
});
