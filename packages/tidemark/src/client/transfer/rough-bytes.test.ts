import { expect, test } from "vitest";
import { roughBytes } from "./rough-bytes.ts";

test("counts what a value holds, once, however deep it is nested", () => {
  const pad = "x".repeat(1000);
  expect(roughBytes({ pad, all: [new Map([[1, pad]]), new Set([pad])] })).toBeGreaterThan(6000);
  const twice = { pad };
  expect(roughBytes([twice, twice])).toBeLessThan(2500);
  const deep = Array.from({ length: 100_000 }).reduce((of) => [of], pad);
  expect(roughBytes(deep)).toBeGreaterThan(30_000);
});
