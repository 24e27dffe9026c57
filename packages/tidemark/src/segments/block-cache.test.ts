import { describe, expect, test } from "vitest";
import { blockId, byteKey, seq, stamp } from "../base/brand.ts";
import { Block, encodeBlock } from "./block.ts";
import { BlockCache } from "./block-cache.ts";

function block(id: number, payloadBytes = 100): Block {
  const version = { seq: seq(1), stamp: stamp(1), payload: new Uint8Array(payloadBytes) };
  return Block.open(blockId(id), encodeBlock([{ key: byteKey("k"), version }]));
}

const [one, two, three] = [block(1), block(2), block(3)];
const size = one.sizeBytes;
const filled = (maxBytes: number, ...blocks: Block[]): BlockCache => {
  const cache = new BlockCache(maxBytes);
  for (const each of blocks) cache.put(each.id, each);
  return cache;
};
const held = (cache: BlockCache) => [one, two, three].filter((each) => cache.get(each.id) === each);

describe("BlockCache", () => {
  test("drops the least recently used blocks when it runs over", () => {
    const cache = filled(2 * size, one, two);
    cache.get(one.id);
    cache.put(three.id, three);
    expect(held(cache)).toEqual([one, three]);
    expect(cache.sizeBytes).toBe(2 * size);
  });

  test("drops as many as a larger block needs", () => {
    const large = block(4, 2 * size);
    const cache = filled(large.sizeBytes + 1, one, two, three, large);
    expect(held(cache)).toEqual([]);
    expect(cache.sizeBytes).toBe(large.sizeBytes);
  });

  test("does not keep a block larger than itself, nor lose others for it", () => {
    const cache = filled(2 * size, one, two, block(4, 3 * size));
    expect(held(cache)).toEqual([one, two]);
  });

  test("counts a block once however often it is put", () => {
    const cache = filled(3 * size, one, one, two);
    expect(cache.sizeBytes).toBe(2 * size);
  });

  test("forgets single blocks and all of them", () => {
    const cache = filled(3 * size, one, two, three);
    cache.delete(two.id);
    cache.delete(two.id);
    expect(held(cache)).toEqual([one, three]);
    expect(cache.sizeBytes).toBe(2 * size);
    cache.clear();
    expect(held(cache)).toEqual([]);
    expect(cache.sizeBytes).toBe(0);
  });
});
