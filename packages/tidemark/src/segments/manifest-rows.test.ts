import { expect, test } from "vitest";
import { byteKey } from "../base/brand.ts";
import { get, type Storage, valueOf } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import type { BlockInfo } from "./block-info.ts";
import { decodeRoot, Manifest, type ManifestEdit } from "./manifest.ts";
import { manifestOf, putManifest, readPages, readRoot, rowsManifest } from "./manifest-rows.ts";
import { at, infoOf, numbers } from "./segments.test-support.ts";

const blocks = (count: number): readonly BlockInfo[] =>
  Array.from({ length: count }, (_, i) => {
    const key = `k${String(i).padStart(6, "0")}`;
    return infoOf(i + 1, at(key, 9), at(`${key}x`, 2));
  });
const contentOf = (manifest: Manifest | undefined) =>
  manifest && {
    version: manifest.version,
    cursors: manifest.cursors,
    levels: manifest.levels.map((level) => [...level.blocks()]),
  };

/** A manifest on a medium, as the upkeep keeps it. */
class Stored {
  readonly medium: MemoryMedium;
  readonly storage: Storage;
  readonly newPageId = numbers();
  manifest = Manifest.empty;

  private constructor(medium: MemoryMedium, storage: Storage) {
    this.medium = medium;
    this.storage = storage;
  }

  /** `count` blocks in the lowest level. */
  static async with(count: number): Promise<Stored> {
    const medium = createMemoryStorage();
    const stored = new Stored(medium, await medium.open("db"));
    await stored.edit([{ level: 3, removed: [], added: blocks(count) }]);
    return stored;
  }

  async edit(edits: readonly ManifestEdit[]): Promise<number> {
    const before = this.manifest;
    this.manifest = before.edit(edits, this.newPageId);
    const writes = putManifest(before, this.manifest);
    await this.storage.commit({ durability: "strict", writes });
    return writes.length;
  }

  /** The block at `i` of the lowest level leaves. */
  remove(i: number): Promise<number> {
    return this.edit([{ level: 3, removed: [this.manifest.levels[3]!.at(i)!], added: [] }]);
  }

  async root() {
    const [found] = await this.storage.read([readRoot]);
    return decodeRoot(valueOf(found)!);
  }

  async rows() {
    return (await this.storage.read([readPages]))[0]!;
  }
}

test("a manifest is its root and its pages, and comes back from them", async () => {
  const stored = await Stored.with(1000);
  await stored.edit([{ level: 1, removed: [], added: blocks(3), cursor: byteKey("k") }]);
  expect((await stored.rows()).length).toBe(stored.manifest.pages().length);
  const expected = contentOf(stored.manifest);
  const { storage } = stored;
  const root = await stored.root();
  expect(contentOf(rowsManifest(root, await stored.rows()))).toEqual(expected);
  expect(contentOf(await manifestOf(storage, root, Manifest.empty))).toEqual(expected);
  expect(contentOf(await manifestOf(storage, root, Manifest.empty, await stored.rows()))).toEqual(expected);
  expect(contentOf(await manifestOf(storage, root, stored.manifest))).toEqual(expected);
});

test("an edit writes the root and the pages it touches, and removes those it replaces", async () => {
  const stored = await Stored.with(1000);
  const ids = async () => (await stored.rows()).map(({ key }) => key);
  const before = await ids();
  expect(await stored.remove(500)).toBe(3); // root, a page in, a page out
  const after = await ids();
  expect([after.length, before.filter((id) => after.includes(id)).length]).toEqual([before.length, before.length - 1]);
  for (let i = 0; i < 700; i += 7) await stored.remove(i);
  expect(new Set(await ids())).toEqual(new Set(stored.manifest.pages().map(({ id }) => `manifest/${id}`)));
  expect(contentOf(rowsManifest(await stored.root(), await stored.rows()))).toEqual(contentOf(stored.manifest));
  expect(await stored.edit([])).toBe(1);
});

test("pages that are known are not read again, nor those that came along", async () => {
  const stored = await Stored.with(1000);
  const { storage, medium } = stored;
  const known = stored.manifest;
  await stored.remove(500);
  const root = await stored.root();
  const reads = async (manifest: Manifest, rows = false): Promise<readonly number[]> => {
    const found = rows ? await stored.rows() : [];
    const { readCalls, reads: before } = medium.stats;
    expect(contentOf(await manifestOf(storage, root, manifest, found))).toEqual(contentOf(stored.manifest));
    return [medium.stats.readCalls - readCalls, medium.stats.reads - before];
  };
  expect(await reads(known)).toEqual([1, 1]);
  expect(await reads(stored.manifest)).toEqual([0, 0]);
  expect(await reads(Manifest.empty)).toEqual([1, stored.manifest.pages().length]);
  expect(await reads(Manifest.empty, true)).toEqual([0, 0]);
  const shared = (await manifestOf(storage, root, known))!;
  const kept = known.pages().filter((page) => shared.pages().includes(page));
  expect(kept.length).toBe(known.pages().length - 1);
});

test("a page that was replaced meanwhile makes the root an old one", async () => {
  const stored = await Stored.with(1000);
  const { storage } = stored;
  const [root, rows, old] = [await stored.root(), await stored.rows(), stored.manifest];
  await stored.remove(500);
  expect(await manifestOf(storage, root, Manifest.empty)).toBeUndefined();
  expect(contentOf(await manifestOf(storage, root, old))).toEqual(contentOf(old));
  expect(contentOf(await manifestOf(storage, root, Manifest.empty, rows))).toEqual(contentOf(old));
});

test("[MV8] a page that is lost or damaged is CORRUPT, and the others can be read", async () => {
  const corrupt = expect.objectContaining({ code: "CORRUPT", details: { what: "manifest page" } });
  const stored = await Stored.with(1000);
  const root = await stored.root();
  const [, second] = stored.manifest.pages();
  const key = `manifest/${second!.id}`;
  const rows = await stored.rows();
  expect(() =>
    rowsManifest(
      root,
      rows.filter((row) => row.key !== key),
    ),
  ).toThrow(corrupt);

  stored.medium.damage("db", "meta", key, 40);
  const damaged = (await manifestOf(stored.storage, root, Manifest.empty))!;
  const { blocks: start } = stored.manifest.pages()[0]!;
  const level = damaged.levels[3]!;
  expect(level.length).toBe(1000);
  expect(() => level.at(start)).toThrow(corrupt);
  expect(level.at(start - 1)).toEqual(stored.manifest.levels[3]!.at(start - 1));
  expect(level.at(start + second!.blocks)).toEqual(stored.manifest.levels[3]!.at(start + second!.blocks));
});

test("the rows stand where storage format 2 says", async () => {
  const stored = await Stored.with(10);
  const found = await stored.storage.read([get("meta", "manifest"), get("meta", "manifest/1")]);
  expect(found.map((one) => one.length)).toEqual([1, 1]);
  expect(found.map((one) => String.fromCharCode(...valueOf(one)!.subarray(0, 4)))).toEqual(["TMMF", "TMMP"]);
});
