import { expect, test } from "vitest";
import { changedFields, childrenOf, kindOfValue, leaf, preview, sizeOf } from "./tree.ts";

test.each([
  [undefined, "nothing", "undefined"],
  [null, "nothing", "null"],
  ["a\nb", "text", '"a\\nb"'],
  [-0, "number", "-0"],
  [5n, "number", "5n"],
  [true, "flag", "true"],
  [new Date(0), "time", "1970-01-01T00:00:00.000Z"],
  [new Date(Number.NaN), "time", "invalid Date"],
  [new Uint8Array(3), "bytes", "Uint8Array(3 bytes)"],
  [new Blob(["abc"], { type: "text/plain" }), "bytes", "Blob(3 bytes, text/plain)"],
  [/a+/g, "other", "/a+/g"],
])("%o is %s", (value, kind, text) => {
  expect([kindOfValue(value), leaf(value, 100), sizeOf(value)]).toEqual([kind, text, 0]);
});

test("children come a part at a time, whatever holds them", () => {
  expect(childrenOf([7, 8, 9], 1, 1)).toEqual([{ name: "1", value: 8 }]);
  expect(childrenOf({ a: 1, b: 2 }, 0, 1)).toEqual([{ name: "a", value: 1 }]);
  expect(childrenOf(new Map([[[1], "x"]]), 0, 9)).toEqual([{ name: "[1]", value: "x" }]);
  expect(childrenOf(new Set(["x"]), 0, 9)).toEqual([{ name: "0", value: "x" }]);
  expect([[1, 2], {}, new Map(), new Set([1])].map(sizeOf)).toEqual([2, 0, 0, 1]);
});

test("a preview fits, however large or deep its value is", () => {
  expect(preview({ a: [1, { b: "c" }] }, 80)).toBe('{a: [1, {b: "c"}]}');
  const deep: unknown[] = [];
  deep.push(deep);
  expect(preview(deep, 80)).toBe("[[[[1]]]]");
  const large = Array.from({ length: 1e5 }, (_, i) => ({ i, text: "x".repeat(1000) }));
  expect(preview(large, 60)).toHaveLength(60);
  expect(preview("x".repeat(1e6), 20)).toBe(`"${"x".repeat(18)}…`);
});

test("what changed is told by top-level fields", () => {
  const older = { id: 1, at: new Date(0), tags: ["a", { b: 1 }], bytes: new Uint8Array(1), gone: 1 };
  const newer = { tags: ["a", { b: 2 }], at: new Date(0), id: 1, bytes: new Uint8Array(1), more: undefined };
  expect(changedFields(newer, older)).toEqual(["tags", "gone"]);
  expect(changedFields(older, structuredClone(older))).toEqual([]);
  expect(changedFields({ ...older, bytes: Uint8Array.of(1) }, older)).toEqual(["bytes"]);
  expect([changedFields("a", older), changedFields(older, undefined)]).toEqual([undefined, undefined]);
});
