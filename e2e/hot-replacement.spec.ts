/** An application under development: its modules are edited while it runs on a dev server, and replaced in the page. */
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, type Page, test } from "@playwright/test";
import react from "@vitejs/plugin-react";
import { createServer, type ViteDevServer } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = ["tidemark", "@tidemark/react", "react", "react-dom"];

let folder: string;
let server: ViteDevServer;
let origin: string;

/** As if it had been installed: Vite treats packages that lie in the workspace in another way. */
async function install(name: string, from: string): Promise<void> {
  const source = await realpath(path.join(from, "node_modules", name));
  const filter = (file: string): boolean => !/^(node_modules|src)\b/.test(path.relative(source, file));
  await cp(source, path.join(folder, "node_modules", name), { recursive: true, filter });
}

test.beforeEach(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), "tidemark-hot-")));
  await cp(path.join(here, "hot-app"), folder, { recursive: true });
  for (const name of packages) await install(name, here);
  await install("scheduler", path.dirname(path.dirname(await realpath(path.join(here, "node_modules/react-dom")))));
  process.env["NODE_ENV"] = "development"; // serving what is built says otherwise
  server = await createServer({
    root: folder,
    configFile: false,
    plugins: [react()],
    logLevel: "error",
    server: { host: "localhost", port: 0 },
  });
  await server.listen();
  origin = server.resolvedUrls!.local[0]!;
});
test.afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Saves the module with each `before` replaced by its `after`. */
async function edit(module: string, ...changes: readonly (readonly [before: string | RegExp, after: string])[]) {
  const file = path.join(folder, "src", module);
  let text = await readFile(file, "utf8");
  for (const [before, after] of changes) {
    if (text.search(before) < 0) throw new Error(`${module} has no ${String(before)}`);
    text = text.replace(before, after);
  }
  await writeFile(file, text);
}

/** Names of the locks that workers of this origin hold for life. */
const workers = (page: Page): Promise<readonly string[]> =>
  page.evaluate(async () => {
    const { held } = await navigator.locks.query();
    return held!.flatMap(({ name }) => (name!.startsWith("tidemark-worker/") ? [name!] : []));
  });

/** The application's page, and what it complained of. */
async function start(page: Page): Promise<{ readonly complaints: string[] }> {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(origin);
  await page.evaluate(() => Object.assign(globalThis, { isFirst: true }));
  return { complaints };
}

/** It was never loaded anew. */
const isReplaced = (page: Page): Promise<boolean> => page.evaluate(() => "isFirst" in globalThis);

test("modules that make the database and that render are edited: the application goes on, with one worker", async ({
  page,
}) => {
  const { complaints } = await start(page);
  const output = page.locator("output");
  const add = page.getByRole("button");
  await expect(output).toHaveText("0 added here, 0 stored by edition 1; the last is none");
  for (let n = 1; n <= 4; n++) {
    await add.click();
    await expect(output).toHaveText(
      `${n} added here, ${n} stored by edition ${n}; the last is note ${n} of Notes, ${n}`,
    );
    await edit("notes.tsx", [`Notes, ${n}`, `Notes, ${n + 1}`]);
    await expect(page.locator("h1")).toHaveText(`Notes, ${n + 1}`);
    await edit("database.ts", [`edition = ${n}`, `edition = ${n + 1}`]);
    await expect(output).toHaveText(
      `${n} added here, ${n} stored by edition ${n + 1}; the last is note ${n} of Notes, ${n}`,
    );
  }
  await expect.poll(() => workers(page)).toHaveLength(1);
  expect(await isReplaced(page)).toBe(true);
  expect(complaints).toEqual([]);
});

test("the definition is edited: the worker of the new one takes the place of the old one", async ({ page }) => {
  const { complaints } = await start(page);
  const output = page.locator("output");
  const add = page.getByRole("button");
  await expect(output).toHaveText("0 added here, 0 stored by edition 1; the last is none");
  await add.click();
  await expect(output).toContainText("1 added here, 1 stored");
  const editions = [
    'text: "text"',
    'text: "text", length: "length"',
    'text: "text", tags: { path: "tags", multi: true }',
  ];
  for (const [i, indexes] of editions.entries()) {
    const [now, next] = [i + 1, i + 2];
    await edit(
      "database.ts",
      [/indexes: .* \}\)/, `indexes: { ${indexes} } })`],
      [`edition = ${now}`, `edition = ${next}`],
    );
    await expect(output).toContainText(`stored by edition ${next}`);
    await add.click();
    await expect(output).toContainText(`${next} added here, ${next} stored by edition ${next}`);
  }
  await expect.poll(() => workers(page)).toHaveLength(1);
  expect(await isReplaced(page)).toBe(true);
  expect(complaints).toEqual([]);
});
