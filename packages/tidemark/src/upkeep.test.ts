import { afterEach, describe, expect, test } from "vitest";
import { defaultDebt } from "./gc/floor.ts";
import { defaultGenerations } from "./codec/generations.ts";
import { defaultWork, type WorkOptions } from "./gc/work.ts";
import { maxBytesOf } from "./segments/levels.ts";
import type { Storage } from "./storage/contract.ts";
import { itemsIn, put, type Tab, World, type WorldOptions, write } from "./test-world.test-support.ts";
import { browserEnvironment } from "./host/browser.ts";
import type { Environment } from "./host/environment.ts";
import { Foreground } from "./host/foreground.ts";
import { Grants } from "./host/grants.ts";
import { Slices } from "./host/pace.ts";
import { Tabs } from "./host/tabs.ts";
import { Upkeep } from "./host/upkeep.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A tab whose upkeep runs by itself, beside the test. */
async function upkept(
  name: string,
  memtableMaxBytes: number,
  work: Partial<WorkOptions> = {},
  world: WorldOptions = {},
) {
  const tab = await new World({ connect: slowInBlocks, ...world }).open();
  const environment = browserEnvironment("memory");
  const tabs = await Tabs.join(name, environment, () => undefined);
  const errors: unknown[] = [];
  const upkeep = new Upkeep(tab.database, tabs, environment, name, {
    memtableMaxBytes,
    work: { ...defaultWork, ...work },
    slices: slicesOf(environment),
    collection: { proof: "floor", debt: defaultDebt, generations: defaultGenerations, isAutomatic: true },
    onError: (e) => errors.push(e),
  });
  closing.push(async () => {
    await upkeep.stop();
    tabs.leave();
  });
  upkeep.start();
  await until(() => upkeep.isHere);
  return { tab, upkeep, errors };
}

/** Nobody grants, and nobody works besides. */
function slicesOf(environment: Environment): Slices {
  const { clock } = environment;
  const ticks = (): number => environment.ticks();
  const giveWay = (): Promise<void> => environment.giveWay();
  const foreground = new Foreground(ticks);
  const grants = new Grants({ page: undefined, tell: () => undefined, ticks, sleep: (ms) => clock.sleep(ms) });
  return new Slices({ ticks, giveWay, foreground, debt: () => 1, grants });
}

const reading = { tracked: false, isolation: "serializable", fresh: true, attempt: 0 } as const;

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !isSo(); i++) await turn();
  expect(isSo()).toBe(true);
}

/** Upkeep is slower than whoever writes. */
const slowInBlocks = (storage: Storage): Storage => ({
  read: (reads) => storage.read(reads),
  commit: async (batch) => {
    for (let i = 0; batch.stores?.includes("blocks") && i < 10; i++) await turn();
    return storage.commit(batch);
  },
  close: () => storage.close(),
});

/** Keys far apart, each once, in an order that looks random. */
const spread = (i: number, of: number): string => String((i * 7919) % of).padStart(6, "0");

const writeSome = (tab: Tab, from: number, to: number, of: number) =>
  write(
    tab,
    Array.from({ length: to - from }, (_, i) => put({ id: spread(from + i, of), n: from + i })),
  );

describe("upkeep of a tab", () => {
  test("folds again what came during a fold, although nothing comes after it", async () => {
    const { tab, upkeep, errors } = await upkept("again", 4 * 1024);
    await writeSome(tab, 0, 100, 1000);
    upkeep.advanced();
    for (let i = 1; i < 4; i++) await writeSome(tab, i * 100, (i + 1) * 100, 1000);
    const { store } = tab.database;
    await until(() => store.memtable.sizeBytes <= 4 * 1024);
    expect(errors).toEqual([]);
  });

  /** Of a fold of 200 records: the blocks that were stored, as they are afterwards. */
  async function storedByFold(cacheMaxBytes: number): Promise<readonly Uint8Array[]> {
    const staged: Uint8Array[] = [];
    const connect = (storage: Storage): Storage => ({
      ...slowInBlocks(storage),
      commit: ({ writes, ...batch }) => {
        if (typeof writes !== "function") return storage.commit({ writes, ...batch });
        const noted: typeof writes = (found) => {
          const chosen = writes(found);
          for (const w of chosen ?? []) if (w.kind === "put" && w.store === "blocks") staged.push(w.value);
          return chosen;
        };
        return storage.commit({ ...batch, writes: noted });
      },
    });
    const { tab, upkeep } = await upkept("memory", 4 * 1024, { targetBytes: 1024 }, { connect, cacheMaxBytes });
    await writeSome(tab, 0, 200, 1000);
    await upkeep.checkpoint();
    const after = [...staged];
    expect(after.length).toBeGreaterThan(0);
    expect(await itemsIn(await tab.database.begin(1, reading))).toHaveLength(200);
    return after;
  }

  test("gives back at once the memory of blocks that it stored; what is stored stays whole", async () => {
    const staged = await storedByFold(1);
    expect(staged.map((bytes) => bytes.length)).toEqual(staged.map(() => 0));
  });

  test("gives back the memory of those that the cache has no room for", async () => {
    const staged = await storedByFold(3000);
    const kept = staged.filter((bytes) => bytes.length > 0);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(staged.length);
    expect(kept.reduce((n, bytes) => n + bytes.length, 0)).toBeLessThanOrEqual(3000);
  });

  test("what a fold takes out of memory is still read without storage, where the cache has room", async () => {
    let blocksRead = 0;
    const connect = (storage: Storage): Storage => ({
      ...slowInBlocks(storage),
      read: (reads) => {
        for (const { store } of reads) if (store === "blocks") blocksRead++;
        return storage.read(reads);
      },
    });
    const { tab, upkeep } = await upkept("kept", 4 * 1024, { targetBytes: 1024 }, { connect });
    await writeSome(tab, 0, 200, 1000);
    await upkeep.checkpoint();
    expect(tab.database.store.memtable.versions).toBe(0);
    expect(tab.database.store.manifest.blocks).toBeGreaterThan(5);
    blocksRead = 0; // upkeep itself looks for what an earlier tenure left
    expect(await itemsIn(await tab.database.begin(1, reading))).toHaveLength(200);
    expect(blocksRead).toBe(0);
  });

  test("[MV11] gives compaction its share while folds are always due: no level outgrows its bound by far", async () => {
    const levels = { minLevelBytes: 4 * 1024, maxStepBytes: 1024 };
    const { tab, upkeep, errors } = await upkept("share", 4 * 1024, { levels, targetBytes: 256, maxStoreBytes: 1024 });
    const { store } = tab.database;
    const records = 4000;
    let worst = 0;
    for (let i = 0; i < records; i += 25) {
      await writeSome(tab, i, i + 25, records);
      upkeep.advanced();
      while (upkeep.isFull) await turn(); // as writers wait for room: a fold is due whenever one ends
      const { levels: all, sizeBytes } = store.manifest;
      if (sizeBytes > 100 * 1024) worst = Math.max(worst, ...all.slice(0, -1).map((l, k) => l.sizeBytes / maxOr(k)));
    }
    function maxOr(level: number): number {
      return Math.max(levels.minLevelBytes, maxBytesOf(store.manifest, levels)[level]!);
    }
    expect(worst).toBeLessThan(4);
    expect(errors).toEqual([]);
  });
});
