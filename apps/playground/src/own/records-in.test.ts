import { expect, test } from "vitest";
import { linesOf, recordsIn } from "./records-in.ts";

test("finds the records of a document", () => {
  expect(recordsIn([1, { a: 2 }])).toEqual([1, { a: 2 }]);
  expect(recordsIn({ type: "FeatureCollection", bbox: [1, 2], features: [{ id: 1 }, { id: 2 }, { id: 3 }] })).toEqual([
    { id: 1 },
    { id: 2 },
    { id: 3 },
  ]);
  expect(recordsIn({ name: "one", tags: [] })).toEqual([{ name: "one", tags: [] }]);
  expect(recordsIn("text")).toEqual(["text"]);
});

test("makes a line of each", async () => {
  const records = Array.from({ length: 1201 }, (_, i) => ({ i, text: "two\nlines" }));
  const lines = (await new Response(linesOf(records)).text()).split("\n");
  expect(lines.pop()).toBe("");
  expect(lines.map((line) => JSON.parse(line))).toEqual(records);
  expect(await new Response(linesOf([])).text()).toBe("");
});
