import { expect, test } from "vitest";
import { cellOf, columnsOf } from "./table.ts";

test("columns are the commonest fields, in the order of the records", () => {
  expect(
    columnsOf([
      { b: 1, a: 2 },
      { a: 3, c: 4 },
    ]),
  ).toEqual(["b", "a", "c"]);
  const wide = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i}`, i]));
  expect(columnsOf([wide, { f11: 1 }])).toEqual(["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f11"]);
  expect(columnsOf([1, "two", [3]])).toEqual(["value"]);
  expect(columnsOf([])).toEqual([]);
});

test("cells", () => {
  expect(cellOf({ a: "text" }, "a")).toBe("text");
  expect(cellOf({ a: [1, { b: null }] }, "a")).toBe('[1,{"b":null}]');
  expect(cellOf({ a: 0 }, "b")).toBe("");
  expect(cellOf(7, "value")).toBe("7");
  expect(cellOf({ a: "x".repeat(500) }, "a")).toHaveLength(121);
});
