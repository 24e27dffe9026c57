import { expect, test } from "vitest";
import { type BlockId, blockId, byteKey, seq } from "../base/brand.ts";
import type { BlockInfo } from "./block-info.ts";
import { nextMarks, unchanged } from "./marks.ts";
import { never, type Wake } from "./rule.ts";

const block = (id: number, from: string, to: string, due: Wake, pinned: number): BlockInfo => ({
  id: blockId(id),
  first: { key: byteKey(from), seq: seq(2) },
  last: { key: byteKey(to), seq: seq(1) },
  count: 2,
  tombstones: 0,
  obsolete: 0,
  outside: 0,
  due,
  pinned,
  sizeBytes: 100,
  filter: new Uint8Array(0),
});

const after = (mark: Wake, removed: BlockInfo): ReadonlyMap<BlockId, Wake> => {
  const heirs = [block(2, "a", "b", never, 0), block(3, "c", "d", never, 0), block(4, "x", "y", never, 0)];
  return nextMarks(new Map([[removed.id, mark]]), unchanged, [removed], heirs);
};

test("[VG1] what a merge makes of a marked block is due when that block was, by its mark or its own figures", () => {
  expect([...after(9, block(1, "b", "c", 7, 0))]).toEqual([
    [2, 7],
    [3, 7],
  ]);
  expect([...after(5, block(1, "b", "c", 7, 0))]).toEqual([
    [2, 5],
    [3, 5],
  ]);
  expect([...after(never, block(1, "b", "c", never, 0))]).toEqual([
    [2, never],
    [3, never],
  ]);
});

test("[VG1] where only a point or retention kept something in it, that is at once (seed 1325461015 of the cycles)", () => {
  expect([...after(never, block(1, "b", "c", never, 1))]).toEqual([
    [2, 0],
    [3, 0],
  ]);
});

test("a block that moves, or is listed with other figures, keeps its mark", () => {
  const info = block(1, "b", "c", never, 1);
  expect([...nextMarks(new Map([[info.id, never]]), unchanged, [info], [{ ...info, due: 3 }])]).toEqual([[1, never]]);
});
