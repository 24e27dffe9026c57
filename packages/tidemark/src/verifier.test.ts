import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStorage } from "./storage/memory.ts";
import { Verifier, watched } from "./testing/verifier.ts";
import { put, World, write } from "./test-world.test-support.ts";

const files = ["verifier.ts", "verifier-log.ts", "verifier-mirror.ts", "commits.ts"];
const importsOf = (file: string): readonly string[] =>
  [...readFileSync(path.join(import.meta.dirname, "testing", file), "utf8").matchAll(/ from "([^"]+)"/g)].map(
    ([, named]) => named!,
  );

describe("[VG12] the verifier", () => {
  test.each(files)("%s takes nothing from what it judges", (file) => {
    const named = importsOf(file);
    expect(named.length).toBeGreaterThan(0);
    for (const one of named) expect(one).not.toMatch(/\/gc\/|rule\.ts|merge\.ts|sweep\.ts|marks\.ts|drop/);
  });

  test("hears of what any storage commits, and of nothing that was declined or refused", async () => {
    const storage = await createMemoryStorage().open("d");
    const heard: number[] = [];
    const verifier = new Verifier(() => 0);
    verifier.written = (writes) => void heard.push(writes.length);
    const through = watched(storage, verifier);
    const add = { kind: "add", store: "meta", key: "k", value: new Uint8Array(3) } as const;
    await through.commit({ durability: "relaxed", writes: [add] });
    await through.commit({ durability: "relaxed", writes: [add] });
    await through.commit({ durability: "relaxed", writes: () => undefined });
    await through.commit({ durability: "relaxed", writes: () => [{ kind: "delete", store: "meta", key: "k" }] });
    expect(heard).toEqual([1, 1]);
    expect(await through.read([{ kind: "get", store: "meta", key: "k" }])).toEqual([[]]);
  });

  test("follows a world through its wrapper as through the medium's own hook", async () => {
    const verifier = new Verifier(() => Number.MAX_SAFE_INTEGER);
    const world = new World({ connect: (storage) => watched(storage, verifier) });
    const tab = await world.open();
    for (let n = 0; n < 30; n++) {
      await write(tab, [put({ id: `k${n % 4}`, n, at: n % 3, pad: "x".repeat(100) })]);
      if (n % 7 === 6) await world.upkeep(tab);
    }
    await world.upkeep(tab);
    expect(verifier.violations).toEqual([]);
    expect(verifier.stats.removed).toBeGreaterThan(20);
    expect(verifier.chains.head).toBe(tab.database.store.head.seq);
  });
});
