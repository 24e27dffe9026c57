import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTidemarkError } from "../base/errors.ts";
import { encodeIndexKey, encodeKey } from "./key.ts";
import { checkPath, extractIndexKeys, extractKey, type KeyPath, readPath } from "./path.ts";

const failure = (run: () => unknown): unknown => {
  try {
    run();
  } catch (e) {
    return isTidemarkError(e) ? { code: e.code, message: e.message, details: e.details } : e;
  }
  return undefined;
};
const keys = (record: unknown, path: KeyPath, multi = false): readonly string[] =>
  extractIndexKeys(record, { path, multi }, "notes");
const index = (value: unknown): string => encodeIndexKey(value, "expected");

describe("readPath", () => {
  const record = { a: { b: [10, { c: 20 }] }, none: null, "": { "": 5 }, text: "abc" };
  test.each([
    ["a", record.a],
    ["a.b.0", 10],
    ["a.b.1.c", 20],
    ["a.b.length", 2],
    ["a.x", undefined],
    ["a.b.1.c.d", undefined],
    ["none", null],
    ["none.x", undefined],
    ["text.length", undefined],
    ["toString", undefined],
    ["__proto__", undefined],
    ["a.constructor.name", undefined],
  ])("%s", (path, expected) => {
    expect(readPath(record, path)).toBe(expected);
  });

  test("of what is no object is undefined", () => {
    for (const value of [undefined, null, 1, "x"]) expect(readPath(value, "a")).toBeUndefined();
  });

  test("finds an own __proto__", () => {
    expect(readPath(JSON.parse('{"__proto__":{"a":1}}'), "__proto__.a")).toBe(1);
  });

  test("descends as a split and a loop would", () => {
    const name = fc.constantFrom("a", "b", "ab");
    const tree = fc.letrec((tie) => ({
      node: fc.oneof({ maxDepth: 4 }, fc.integer(), fc.dictionary(name, tie("node"), { maxKeys: 3 })),
    })).node;
    fc.assert(
      fc.property(tree, fc.array(name, { minLength: 1, maxLength: 4 }), (root, steps) => {
        const slow = steps.reduce<unknown>((node, step) => (node as Record<string, unknown> | undefined)?.[step], root);
        expect(readPath(root, steps.join("."))).toBe(slow);
      }),
    );
  });
});

describe("extractKey", () => {
  test("[MV7] single, nested and compound", () => {
    expect(extractKey({ id: 5 }, "id", "notes")).toBe(encodeKey(5, "t"));
    expect(extractKey({ a: { id: "x" } }, "a.id", "notes")).toBe(encodeKey("x", "t"));
    expect(extractKey({ a: 1, b: { c: ["x"] } }, ["a", "b.c"], "notes")).toBe(encodeKey([1, ["x"]], "t"));
  });

  test("[MV7] a missing part is KEY_INVALID and named", () => {
    const expected = {
      code: "KEY_INVALID",
      message: "notes.b.c is missing, but is the record's key",
      details: { where: "notes", path: "b.c" },
    };
    expect(failure(() => extractKey({ a: 1 }, ["a", "b.c"], "notes"))).toEqual(expected);
    expect(failure(() => extractKey({ b: { c: undefined } }, "b.c", "notes"))).toEqual(expected);
  });

  test("[MV7] what is no key is KEY_INVALID and named", () => {
    expect(failure(() => extractKey({ id: [1, true] }, "id", "notes"))).toMatchObject({
      code: "KEY_INVALID",
      details: { where: "notes.id", path: "[1]" },
    });
  });
});

describe("extractIndexKeys", () => {
  test("[MV7] a missing or undefined field makes no entry, null makes one", () => {
    expect(keys({}, "a")).toEqual([]);
    expect(keys({ a: undefined }, "a")).toEqual([]);
    expect(keys({ a: null }, "a")).toEqual([index(null)]);
    expect(keys({ a: 1 }, ["a", "b"])).toEqual([]);
    expect(keys({ a: 1, b: false }, ["a", "b"])).toEqual([index([1, false])]);
  });

  test("an array is one entry, or with multi one for each distinct element in order", () => {
    expect(keys({ a: [2, 1] }, "a")).toEqual([index([2, 1])]);
    expect(keys({ a: ["b", "a", undefined, "b", 5] }, "a", true)).toEqual([index(5), index("a"), index("b")]);
    expect(keys({ a: "b" }, "a", true)).toEqual([index("b")]);
    expect(keys({ a: [] }, "a", true)).toEqual([]);
    const element = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.string({ maxLength: 2 }), fc.constant(null));
    fc.assert(
      fc.property(fc.array(element), (a) => {
        expect(keys({ a }, "a", true)).toEqual([...new Set(a.map(index))].toSorted());
      }),
    );
  });

  test("[MV7] what is no index key is KEY_INVALID and named", () => {
    const invalid = (record: unknown, path: KeyPath, multi?: boolean): unknown =>
      failure(() => keys(record, path, multi));
    expect(invalid({ a: {} }, "a")).toMatchObject({ code: "KEY_INVALID", details: { where: "notes.a" } });
    expect(invalid({ a: [1, {}] }, "a", true)).toMatchObject({ code: "KEY_INVALID", details: { where: "notes.a[1]" } });
    expect(invalid({ a: 1, b: {} }, ["a", "b"])).toMatchObject({ code: "KEY_INVALID", details: { where: "notes.b" } });
  });
});

describe("checkPath", () => {
  test.each(["a", "a.b.c", "with space", ["a"], ["a", "b.c"]])("accepts %j", (path) => {
    expect(failure(() => checkPath(path, "notes"))).toBeUndefined();
  });

  test.each(["", ".", "a.", ".a", "a..b", [], [""], ["a", ""], ["a", ["b"]], 5, null, undefined, {}, [1n]])(
    "refuses %o",
    (path) => {
      expect(failure(() => checkPath(path, "notes"))).toMatchObject({
        code: "OPTIONS_INVALID",
        details: { where: "notes" },
      });
    },
  );

  test("refuses multi with a compound path", () => {
    expect(failure(() => checkPath(["a"], "notes", true))).toMatchObject({ code: "OPTIONS_INVALID" });
    expect(failure(() => checkPath("a", "notes", true))).toBeUndefined();
  });
});
