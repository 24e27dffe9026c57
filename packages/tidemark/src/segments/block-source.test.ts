import { expect, test } from "vitest";
import { blockId, byteKey, seq, stamp } from "../base/brand.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { encodeBlock } from "./block.ts";
import { BlockSource } from "./block-source.ts";

const bytesOf = (name: string): Uint8Array<ArrayBuffer> =>
  encodeBlock([{ key: byteKey(name), version: { seq: seq(1), stamp: stamp(1), payload: new Uint8Array(100) } }]);

async function sourceOf(ids: readonly number[]): Promise<BlockSource> {
  const storage = await createMemoryStorage().open("d");
  const writes = ids.map((id) => ({ kind: "put", store: "blocks", key: id, value: bytesOf(`k${id}`) }) as const);
  await storage.commit({ durability: "relaxed", writes });
  return new BlockSource(storage, 2.5 * bytesOf("k1").length);
}

test("what is read once only, by upkeep, is answered but does not drive out what is read again and again", async () => {
  const source = await sourceOf([1, 2, 3, 4]);
  const [a, b, c, d] = [blockId(1), blockId(2), blockId(3), blockId(4)];
  await source.load([a, b], 2);
  expect([...(await source.load([a, c, d], 3, { isKept: false })).keys()]).toEqual([a, c, d]);
  expect([a, b, c, d].map((id) => source.cached(id) !== undefined)).toEqual([true, true, false, false]);
  await source.load([c], 1);
  expect(source.cached(c)).toBeDefined();
});
