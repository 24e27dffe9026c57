/** Builds of the engine with a bug planted. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";
import type { Engine } from "./engine.ts";
import type { Edit, Mutant } from "./mutants.ts";

const root = path.resolve(import.meta.dirname, "../../..");
const sources = path.join(root, "packages/tidemark/src");
/** Files of tests run at once, and may plant the same bug: each has builds of its own. */
const builds = path.join(root, "node_modules/.cache/sim", process.env["VITEST_POOL_ID"] ?? "");

/** @throws where the source is not there exactly once: then the mutant has to follow it. */
export async function planted({ name, also, ...edit }: Mutant): Promise<Engine> {
  const edits = new Map<string, Edit>();
  for (const one of also ? [edit, also] : [edit]) {
    const file = path.join(sources, one.file);
    const times = (await readFile(file, "utf8")).split(one.find).length - 1;
    if (times !== 1) throw new Error(`"${name}": what is to be replaced stands ${times} times in ${one.file}`);
    edits.set(file, one);
  }
  const plant = (code: string, id: string): string | undefined => {
    const one = edits.get(id);
    return one && code.replace(one.find, () => one.replace);
  };
  const dir = path.join(builds, name.replaceAll(/[^a-z0-9]+/gi, "-"));
  const bundle = await rolldown({
    input: { index: path.join(sources, "index.ts"), testing: path.join(sources, "testing.ts") },
    platform: "node",
    plugins: [{ name: "plant", transform: plant }],
  });
  await bundle.write({ dir, chunkFileNames: "[name].js" });
  await bundle.close();
  const load = (door: string): Promise<Engine> => import(pathToFileURL(path.join(dir, door)).href) as Promise<Engine>;
  return { ...(await load("index.js")), ...(await load("testing.js")) };
}
