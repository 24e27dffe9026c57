import { describe, expect, test, vi } from "vitest";
import type { BlockId } from "./base/brand.ts";
import { define } from "./collections/define.ts";
import { defaultWork, type WorkOptions } from "./gc/work.ts";
import { Page } from "./segments/page.ts";
import type { Read, Storage } from "./storage/contract.ts";
import { type Tab, World } from "./test-world.test-support.ts";
import { allUsages, clearCollection, metricsOf, more, type Note, sumOfAll, writeNotes } from "./usage.test-support.ts";

vi.setConfig({ testTimeout: 30_000 });

const ids = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${String(i).padStart(6, "0")}`);
const note = (id: string): Note => ({ id, n: Number(id.slice(1)) % 50, pad: "x".repeat(100) });

/** What is read of store `blocks`, and that nothing is written. */
class Noted {
  readonly blocks: BlockId[] = [];
  /** What becomes of the bytes that are read. */
  damage: BlockId | undefined;

  readonly connect = (storage: Storage): Storage => ({
    commit: (batch) => storage.commit(batch),
    close: () => storage.close(),
    read: async (reads: readonly Read[]) => {
      const found = await storage.read(reads);
      return found.map((entries, i) => {
        const read = reads[i]!;
        if (read.kind !== "get" || read.store !== "blocks") return entries;
        this.blocks.push(read.key as BlockId);
        if (read.key !== this.damage) return entries;
        return entries.map(({ key, value }) => ({ key, value: value.map((b, at) => (at === 20 ? b ^ 1 : b)) }));
      });
    },
  });
}

/** Notes and tags, folded. */
async function filled(noted: Noted, notes: number, rewrite?: WorkOptions): Promise<{ world: World; tab: Tab }> {
  const world = new World({ connect: noted.connect, cacheMaxBytes: 0, ...(rewrite ? { rewrite } : {}) });
  const tab = await world.open();
  await define(tab.database, more);
  await writeNotes(tab, "notes", ids(notes), note);
  await writeNotes(tab, "tags", ids(3), note);
  await world.upkeep(tab);
  noted.blocks.length = 0;
  return { world, tab };
}

const borders = ({ database: { store, schema } }: Tab): number => schema.tables.size * store.manifest.filled.length;

describe("what metrics cost", () => {
  test("[HM1] reads the blocks in which tables meet, and decodes no page within a table", async () => {
    const noted = new Noted();
    const { tab } = await filled(noted, 2000);
    await tab.database.store.reload();
    const { manifest } = tab.database.store;
    const decoded = new Set<Page>();
    const infos = Object.getOwnPropertyDescriptor(Page.prototype, "infos")!;
    const spied = vi.spyOn(Page.prototype, "infos", "get").mockImplementation(function (this: Page) {
      decoded.add(this);
      return infos.get!.call(this) as Page["infos"];
    });
    try {
      const { blocks, collections } = await metricsOf(tab);
      expect(blocks).toBeGreaterThan(800);
      expect(collections["notes"]!.records.versions).toBe(2000);
      expect(collections["notes"]!.indexes["n"]!.versions).toBe(2000);
      expect(noted.blocks.length).toBeGreaterThan(0);
      expect(noted.blocks.length).toBeLessThanOrEqual(borders(tab));
      expect(manifest.pages().length).toBeGreaterThan(12);
      expect(decoded.size).toBeLessThanOrEqual(borders(tab));
    } finally {
      spied.mockRestore();
    }
  });

  test("[HM1] reads no more where there are ten times as many records", async () => {
    const read: number[] = [];
    for (const n of [500, 5000]) {
      const noted = new Noted();
      const { tab } = await filled(noted, n);
      await metricsOf(tab);
      read.push(noted.blocks.length / borders(tab));
    }
    expect(Math.max(...read)).toBeLessThanOrEqual(1);
  });

  test("[HM1] what it reads is not kept in place of what others read", async () => {
    const noted = new Noted();
    const { tab } = await filled(noted, 300);
    const load = vi.spyOn(tab.database.store.blocks, "load");
    await metricsOf(tab);
    expect(load.mock.calls.map(([, , terms]) => terms?.isKept)).toEqual(load.mock.calls.map(() => false));
    expect(load).toHaveBeenCalled();
  });
});

describe("what metrics say", () => {
  test("[HM1] where a block in which tables meet is damaged, the rest is told, and that it is not exact", async () => {
    const noted = new Noted();
    const { tab } = await filled(noted, 300);
    const before = await metricsOf(tab);
    expect(before.isExact).toBe(true);
    noted.damage = noted.blocks[0];
    const after = await metricsOf(tab);
    expect(after.isExact).toBe(false);
    const sum = sumOfAll(allUsages(after));
    expect([sum.versions, sum.bytes]).toEqual([after.versions, after.blockBytes + after.memtableBytes]);
  });

  test("[HM1] a tab whose manifest upkeep of another one has replaced tells the state of now", async () => {
    const noted = new Noted();
    const { world, tab } = await filled(noted, 300, defaultWork);
    const other = await world.open();
    const reload = vi.spyOn(other.database.store, "reload");
    await writeNotes(tab, "notes", ids(300), (id) => ({ ...note(id), pad: "y" }));
    await world.upkeep(tab);
    const { collections, isExact } = await metricsOf(other);
    expect(reload).toHaveBeenCalledOnce();
    expect(isExact).toBe(true);
    expect(collections).toEqual((await metricsOf(tab)).collections);
  });

  test("[HM1] a cleared collection is empty at once, and what it left counts as cleared until it is gone", async () => {
    const noted = new Noted();
    const { world, tab } = await filled(noted, 300);
    const { notes } = (await metricsOf(tab)).collections;
    await clearCollection(tab, "notes");
    const { collections, cleared } = await metricsOf(tab);
    expect(sumOfAll([collections["notes"]!.records, collections["notes"]!.indexes["n"]])).toEqual(sumOfAll([]));
    expect(cleared.versions).toBe(600);
    expect(cleared.bytes).toBe(notes!.records.bytes + notes!.indexes["n"]!.bytes);
    await world.upkeep(tab);
    expect((await metricsOf(tab)).cleared.versions).toBeLessThan(30); // at the borders
  });

  test("[HM1] bytes of values out of line are told where that is known, and not guessed", async () => {
    const noted = new Noted();
    const { world, tab } = await filled(noted, 300);
    const none = (await metricsOf(tab)).collections["notes"]!;
    expect([none.records.blobBytes, none.indexes["n"]]).toEqual([0, expect.not.objectContaining({ blobBytes: 0 })]);
    await writeNotes(tab, "tags", ["large"], (id) => ({ id, n: 1, pad: "x".repeat(50_000) }));
    const { blobBytes } = (await metricsOf(tab)).collections["tags"]!.records;
    expect(blobBytes).toBeGreaterThan(50_000);
    expect(blobBytes).toBeLessThan(50_100);
    await writeNotes(tab, "notes", ids(300), (id) => ({
      ...note(id),
      pad: "x".repeat(id === "k000150" ? 50_000 : 100),
    }));
    await world.upkeep(tab);
    expect((await metricsOf(tab)).collections["notes"]!.records.blobBytes).toBeUndefined();
  });
});
