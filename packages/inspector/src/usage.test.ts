import type { Metrics, Usage } from "tidemark";
import { expect, test } from "vitest";
import { cellsOf, collectionRows, liveCount, storedBytes } from "./usage.ts";

const usage = (versions: number, tombstones = 0, superseded = 0): Usage => {
  return { versions, tombstones, superseded, supersededBytes: superseded * 10, bytes: versions * 20 };
};

test("live are what is neither a tombstone nor superseded", () => {
  expect(liveCount(usage(10, 2, 3))).toBe(5);
  expect(liveCount(usage(1, 1, 1))).toBe(0); // where figures are not exact
});

test("a collection is told with its indexes, the largest first, and what is unknown stays so", () => {
  const metrics = {
    collections: {
      small: { records: { ...usage(1), blobBytes: 0 }, indexes: {} },
      large: { records: usage(10, 2, 3), indexes: { a: usage(5), b: usage(6, 1, 1) } },
    },
  } as unknown as Metrics;
  expect(collectionRows(metrics)).toEqual([
    {
      name: "large",
      records: 5,
      recordBytes: 200,
      indexes: 2,
      indexBytes: 220,
      versions: 21,
      superseded: 4,
      supersededBytes: 40,
      tombstones: 3,
      blobBytes: undefined,
    },
    expect.objectContaining({ name: "small", records: 1, indexes: 0, indexBytes: 0, blobBytes: 0 }),
  ]);
});

test("memory is not stored twice, and a cell stands for as many blocks as are needed", () => {
  const parts = { blockBytes: 1, logBytes: 2, blobBytes: 4, metaBytes: 8, reserveBytes: 16, memtableBytes: 32 };
  expect(storedBytes({ ...parts, blocks: 1, logEntries: 1 } as Metrics)).toBe(31);
  expect([cellsOf(0, 10), cellsOf(10, 10), cellsOf(11, 10)]).toEqual([
    { cells: 0, each: 1 },
    { cells: 10, each: 1 },
    { cells: 6, each: 2 },
  ]);
});
