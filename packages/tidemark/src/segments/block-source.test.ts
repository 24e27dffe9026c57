import { expect, test } from "vitest";
import { blockId, byteKey, seq, stamp } from "../base/brand.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { encodeBlock } from "./block.ts";
import { BlockSource, type Listed } from "./block-source.ts";
import { at } from "./segments.test-support.ts";

const bytesOf = (name: string): Uint8Array<ArrayBuffer> =>
  encodeBlock([{ key: byteKey(name), version: { seq: seq(1), stamp: stamp(1), payload: new Uint8Array(100) } }]);

const listed = (n: number): Listed => ({ id: blockId(n), first: at(`k${n}`, 1), last: at(`k${n}`, 1), count: 1 });

async function sourceOf(ids: readonly number[]): Promise<BlockSource> {
  const storage = await createMemoryStorage().open("d");
  const writes = ids.map((id) => ({ kind: "put", store: "blocks", key: id, value: bytesOf(`k${id}`) }) as const);
  await storage.commit({ durability: "relaxed", writes });
  return new BlockSource(storage, 2.5 * bytesOf("k1").length);
}

test("what is read once only, by upkeep, is answered but does not drive out what is read again and again", async () => {
  const source = await sourceOf([1, 2, 3, 4]);
  const [a, b, c, d] = [listed(1), listed(2), listed(3), listed(4)];
  await source.load([a, b], 2);
  expect([...(await source.load([a, c, d], 3, { isKept: false })).keys()]).toEqual([1, 3, 4]);
  expect([a, b, c, d].map(({ id }) => source.cached(id) !== undefined)).toEqual([true, true, false, false]);
  await source.load([c], 1);
  expect(source.cached(c.id)).toBeDefined();
});

test("what was just stored is kept where there is room, and drives nothing out", async () => {
  const source = await sourceOf([1]);
  await source.load([listed(1)], 1);
  const [b, c] = [2, 3].map((n) => ({ id: blockId(n), bytes: bytesOf(`k${n}`) }));
  expect([source.keepStored(b!), source.keepStored(c!)]).toEqual([true, false]);
  expect([1, 2, 3].map((n) => source.cached(blockId(n)) !== undefined)).toEqual([true, true, false]);
});

test("[SS4] of what is cached only that is kept which a new manifest still lists", async () => {
  const source = await sourceOf([1, 2]);
  const [a, b] = [listed(1), listed(2)];
  await source.load([a, b], 2);
  source.keepListed([
    { has: ({ id }) => id > 2 },
    { has: ({ id, last }) => id === b.id && last.key === b.last.key && last.seq === b.last.seq },
  ]);
  expect([a, b].map(({ id }) => source.cached(id) !== undefined)).toEqual([false, true]);
});

test("[MV8] another block's bytes are not taken for its own, however whole they are", async () => {
  const source = await sourceOf([1, 2]);
  const [a, b] = [listed(1), listed(2)];
  for (const wrong of [
    { ...a, id: b.id },
    { ...a, count: 2 },
    { ...a, first: at("k1", 2) },
    { ...a, last: at("k", 1) },
  ]) {
    await expect(source.load([wrong], 1)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { what: "block", id: wrong.id },
    });
    expect((await source.load([wrong], 0)).size).toBe(0);
  }
  expect([...(await source.load([a, b], 2)).keys()]).toEqual([1, 2]);
});
