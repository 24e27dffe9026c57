import { expect, test } from "vitest";
import { Standings } from "./standings.ts";

test("medians, by work and by who did it", () => {
  const standings = new Standings();
  for (const tookMs of [9, 1, 5]) standings.add("put", "dexie", { tookMs, answer: 300 });
  standings.add("put", "tidemark", { tookMs: 2, answer: 300 });
  expect(standings.median("put", "dexie")).toBe(5);
  expect(standings.median("put", "tidemark")).toBe(2);
  expect(standings.median("get", "dexie")).toBeUndefined();
  expect(standings.rounds("put", "dexie")).toEqual([9, 1, 5]);
});

test("answers that differ are told", () => {
  const standings = new Standings();
  standings.add("put", "dexie", { tookMs: 1, answer: 300 });
  expect(standings.agree("put")).toBe(true);
  standings.add("put", "tidemark", { tookMs: 1, answer: 299 });
  expect(standings.agree("put")).toBe(false);
  expect(standings.agree("get")).toBe(true);
});

test("an answer that is no number agrees with nothing", () => {
  const standings = new Standings();
  standings.add("get", "dexie", { tookMs: 1, answer: Number.NaN });
  standings.add("get", "tidemark", { tookMs: 1, answer: Number.NaN });
  expect(standings.agree("get")).toBe(false);
});
