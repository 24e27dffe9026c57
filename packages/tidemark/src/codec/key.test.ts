import fc from "fast-check";
import { indexedDB } from "fake-indexeddb";
import { describe, expect, test } from "vitest";
import { type ByteKey, byteKey } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import {
  decodeKey,
  encodeIndexKey,
  encodeKey,
  joinKeys,
  keyEnd,
  type KeyValue,
  prefixEnd,
  stringPrefix,
  tuplePrefix,
} from "./key.ts";

const unit = fc.oneof(
  fc.constantFrom(0, 1, 2, 0x61, 0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xffff),
  fc.nat(0xffff),
);
const text = fc.array(unit, { maxLength: 6 }).map((units) => String.fromCharCode(...units));
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE),
  fc.integer(),
  fc.double({ noNaN: true }),
);
const bytes = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 255), fc.nat(255)), { maxLength: 5 });
const binary = bytes.map((b) => new Uint8Array(b).buffer);
const scalar = fc.oneof(number, fc.date({ noInvalidDate: true }), text, binary);
const indexScalar = fc.oneof(scalar, fc.constantFrom(null, false, true));
const nested = (leaf: fc.Arbitrary<KeyValue>): fc.Arbitrary<KeyValue> =>
  fc.letrec<{ key: KeyValue }>((tie) => ({
    key: fc.oneof({ maxDepth: 4, withCrossShrink: true }, leaf, fc.array(tie("key"), { maxLength: 4 })),
  })).key;
const key = nested(scalar);
const indexKey = nested(indexScalar);

const rank = (v: KeyValue): number => {
  if (v === null) return 0;
  if (v instanceof Date) return 4;
  if (v instanceof ArrayBuffer) return 6;
  return { boolean: v === true ? 2 : 1, number: 3, string: 5, object: 7 }[
    typeof v as "boolean" | "number" | "string" | "object"
  ];
};

function compareLists(a: readonly KeyValue[], b: readonly KeyValue[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return Math.sign(a.length - b.length);
}

/** The order as the IndexedDB specification words it. */
function compare(a: KeyValue, b: KeyValue): number {
  if (rank(a) !== rank(b)) return Math.sign(rank(a) - rank(b));
  if (Array.isArray(a)) return compareLists(a, b as readonly KeyValue[]);
  if (a instanceof ArrayBuffer) return compareLists([...new Uint8Array(a)], [...new Uint8Array(b as ArrayBuffer)]);
  return a! < b! ? -1 : a! > b! ? 1 : 0;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const positive = (v: KeyValue): KeyValue => (v === 0 ? 0 : Array.isArray(v) ? v.map(positive) : v);
const encode = (v: unknown): ByteKey => encodeKey(v, "t");
const encodeIndex = (v: unknown): ByteKey => encodeIndexKey(v, "t");
const codeOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (e) {
    if (!isTidemarkError(e)) throw e;
    return { code: e.code, message: e.message, details: e.details };
  }
  return undefined;
};

describe("order", () => {
  test("[MV7] byte order is key order, as a model and fake-indexeddb see it", () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(order(encode(a), encode(b))).toBe(compare(a, b));
        expect(indexedDB.cmp(a, b)).toBe(compare(a, b));
      }),
      { numRuns: 3000 },
    );
  });

  test("[MV7] index keys put null < false < true before numbers", () => {
    fc.assert(
      fc.property(indexKey, indexKey, (a, b) => {
        expect(order(encodeIndex(a), encodeIndex(b))).toBe(compare(a, b));
      }),
      { numRuns: 3000 },
    );
    const ascending = [null, false, true, -Infinity, new Date(0), "", new ArrayBuffer(0), []].map(encodeIndex);
    expect(ascending.toSorted()).toEqual(ascending);
  });

  test("[MV7] texts that share a beginning keep the order of UTF-16 units, lone surrogates included", () => {
    fc.assert(
      fc.property(text, text, text, (start, a, b) => {
        expect(order(encode(start + a), encode(start + b))).toBe(order(a, b));
      }),
    );
    expect(encode("\u{1F600}") < encode("\uE000")).toBe(true);
  });

  test("joined keys order as the list of their values", () => {
    fc.assert(
      fc.property(indexKey, key, indexKey, key, (i1, k1, i2, k2) => {
        const joined = order(encodeIndex(i1) + encode(k1), encodeIndex(i2) + encode(k2));
        expect(joined).toBe(compareLists([i1, k1], [i2, k2]));
      }),
    );
  });
});

describe("decoding", () => {
  test("[MV7] gives back the key; -0 becomes 0", () => {
    fc.assert(
      fc.property(indexKey, (k) => {
        expect(decodeKey(encodeIndex(k))).toStrictEqual(positive(k));
      }),
    );
    expect(decodeKey(encode(-0))).toBe(0);
  });

  test("keyEnd finds the border between joined keys", () => {
    fc.assert(
      fc.property(indexKey, key, (i, k) => {
        const joined = byteKey(encodeIndex(i) + encode(k));
        const border = keyEnd(joined, 0);
        expect(border).toBe(encodeIndex(i).length);
        expect(keyEnd(joined, border)).toBe(joined.length);
      }),
    );
  });

  test("garbage either is the encoding of what it decodes to, or CORRUPT", () => {
    const tag = fc.constantFrom(0, 1, 2, 0x10, 0x18, 0x19, 0x20, 0x30, 0x40, 0x50, 0x60, 0x80, 0xc0, 0xe0, 0xff);
    const garbage = fc.array(fc.oneof(tag, fc.nat(0x120)), { maxLength: 24 });
    const damage = fc.tuple(indexKey.map(encodeIndex), fc.nat(), fc.nat(255)).map(([whole, at, b]) => {
      const i = at % whole.length;
      return whole.slice(0, i) + String.fromCharCode(b) + whole.slice(i + 1);
    });
    const any = fc.oneof(
      garbage.map((units) => String.fromCharCode(...units)),
      damage,
      damage.map((d) => d.slice(0, -1)),
    );
    fc.assert(
      fc.property(any.map(byteKey), (k) => {
        const failure = codeOf(() => decodeKey(k)) as { code: string } | undefined;
        const end = codeOf(() => keyEnd(k, 0)) as { code: string } | undefined;
        expect(["CORRUPT", undefined]).toContain(failure?.code);
        expect(["CORRUPT", undefined]).toContain(end?.code);
        expect(failure !== undefined || encodeIndex(decodeKey(k)) === k).toBe(true);
        expect(failure !== undefined || keyEnd(k, 0) === k.length).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test("endless nesting is CORRUPT, not a crash", () => {
    const deep = byteKey("\x60".repeat(1_000_000));
    expect(codeOf(() => decodeKey(deep))).toMatchObject({ code: "CORRUPT" });
    expect(codeOf(() => keyEnd(deep, 0))).toMatchObject({ code: "CORRUPT" });
    expect(codeOf(() => decodeKey(byteKey("")))).toMatchObject({ code: "CORRUPT" });
  });
});

describe("ranges", () => {
  test("stringPrefix and prefixEnd enclose exactly the strings with that beginning", () => {
    fc.assert(
      fc.property(text, fc.oneof(text, key), (start, other) => {
        const from = stringPrefix(start);
        const to = prefixEnd(from)!;
        const inside = (k: ByteKey): boolean => from <= k && k < to;
        expect(inside(encode(other))).toBe(typeof other === "string" && other.startsWith(start));
        expect(inside(encode(start + String(other)))).toBe(true);
      }),
    );
  });

  test("tuplePrefix and prefixEnd enclose exactly the arrays with that beginning", () => {
    fc.assert(
      fc.property(fc.array(indexScalar, { maxLength: 3 }), fc.array(indexScalar, { maxLength: 3 }), (start, rest) => {
        const from = tuplePrefix(start, "t");
        const to = prefixEnd(from)!;
        const inside = (k: ByteKey): boolean => from <= k && k < to;
        expect(inside(encodeIndex([...start, ...rest]))).toBe(true);
        expect(inside(encodeIndex(rest))).toBe(compareLists(start, rest.slice(0, start.length)) === 0);
      }),
    );
  });

  test("prefixEnd is the least bound", () => {
    expect(prefixEnd(byteKey("a"))).toBe("b");
    expect(prefixEnd(byteKey("a\xff\xff"))).toBe("b");
    expect(prefixEnd(byteKey("\xff"))).toBeUndefined();
    expect(prefixEnd(byteKey(""))).toBeUndefined();
  });

  test("joinKeys is the key of the array", () => {
    fc.assert(
      fc.property(fc.array(indexKey, { maxLength: 4 }), (elements) => {
        expect(joinKeys(elements.map(encodeIndex), "t")).toBe(encodeIndex(elements));
      }),
    );
  });
});

describe("refusals", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const doubling = Array.from({ length: 60 }).reduce<unknown>((inner) => [inner, inner], "x");
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });

  test.each<[string, unknown]>([
    ["NaN", Number.NaN],
    ["invalid Date", new Date(Number.NaN)],
    ["undefined", undefined],
    ["object", {}],
    ["fake Date", Object.create(Date.prototype)],
    ["bigint", 1n],
    ["symbol", Symbol("s")],
    ["function", () => 1],
    ["RegExp", /x/],
    ["shared memory", new SharedArrayBuffer(1)],
    ["detached view", detached],
    ["detached buffer", detached.buffer],
    ["boxed string", Object("x")],
    ["cycle", cyclic],
    ["doubling", doubling],
    ["long string", "x".repeat(65_536)],
    ["string long once encoded", "ü".repeat(40_000)],
    ["long binary", new Uint8Array(40_000)],
  ])("[MV7] %s is KEY_INVALID", (_, value) => {
    for (const encoder of [encodeKey, encodeIndexKey]) {
      expect(codeOf(() => encoder(value, "notes.id"))).toMatchObject({ code: "KEY_INVALID" });
      expect(codeOf(() => encoder([value], "notes.id"))).toMatchObject({ code: "KEY_INVALID" });
    }
  });

  test("[MV7] null and booleans are no primary keys", () => {
    for (const value of [null, false, true, [null], [[true]]]) {
      expect(codeOf(() => encode(value))).toMatchObject({ code: "KEY_INVALID" });
    }
  });

  test("[MV7] the error names the place within arrays", () => {
    expect(codeOf(() => encodeKey([1, ["a", Number.NaN]], "notes.id"))).toEqual({
      code: "KEY_INVALID",
      message: "notes.id[1][1] is NaN, which is not a key",
      details: { where: "notes.id", path: "[1][1]" },
    });
    // oxlint-disable-next-line no-sparse-arrays -- a hole is what this is about
    expect(codeOf(() => encodeKey([1, , 3], "t"))).toMatchObject({ details: { path: "[1]" } });
  });

  test("the largest keys and deepest arrays pass", () => {
    expect(encode("x".repeat(65_534))).toHaveLength(65_536);
    const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 1);
    expect(decodeKey(encode(deep))).toEqual(deep);
    expect(codeOf(() => encode([deep]))).toMatchObject({ code: "KEY_INVALID" });
  });
});

test("[MV7] every view of the same bytes is the same key", () => {
  const whole = new Uint8Array([9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const part = whole.slice(1, 9);
  const expected = encode(part.buffer);
  expect(encode(whole.subarray(1, 9))).toBe(expected);
  expect(encode(new DataView(whole.buffer, 1, 8))).toBe(expected);
  expect(encode(new Float64Array(part.buffer))).toBe(expected);
});
