import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { decodeValue, encodeValue, jsonOf } from "./value.ts";

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  const into = new ByteWriter(4);
  into.u8(7);
  expect(encodeValue(value, into, "notes")).toEqual([]);
  return into.finish().subarray(1);
}
const roundTrip = (value: unknown): unknown => decodeValue(encode(value));

interface ViewType {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): ArrayBufferView;
  readonly BYTES_PER_ELEMENT?: number;
}
const viewTypes: readonly ViewType[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  (globalThis as unknown as { Float16Array: ViewType }).Float16Array,
];

const unit = fc.oneof(fc.constantFrom(0, 0x22, 0x5c, 0x7f, 0x80, 0x2028, 0xd800, 0xdc00, 0xfeff), fc.nat(0xffff));
const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.array(unit, { maxLength: 4 }).map((units) => String.fromCharCode(...units)),
);
const name = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toJSON", "length", "0", "10", ""));
/** Names that JSON escapes make a value rich. */
const plainName = name.filter((n) => !/["\\\p{Cc}\p{Cs}]|[^\0-\uffff]/u.test(n));
const plainLeaf = fc.oneof(
  text,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.boolean(),
  fc.constant(null),
);
const buffer = fc.uint8Array({ maxLength: 40 });
const view = fc.tuple(buffer, fc.constantFrom(...viewTypes), fc.nat(2)).map(([bytes, View, skipped]) => {
  const size = View.BYTES_PER_ELEMENT ?? 1;
  const whole = new Uint8Array(bytes.length + 2 * size);
  whole.set(bytes, size);
  return new View(whole.buffer, size * Math.min(skipped, 1), Math.floor(bytes.length / size));
});
const specialLeaf = fc.oneof(
  fc.constantFrom<unknown>(undefined, Number.NaN, Infinity, -Infinity, -0),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
  fc.date(),
  fc.constantFrom(/a/giu, /\//, new RegExp("[\u{1F600}]\\n", "v"), /(?<x>y)/dms),
  buffer.map((bytes) => bytes.slice().buffer),
  view,
);
const cloneable = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    plainLeaf,
    specialLeaf,
    tie("object"),
    tie("list"),
    tie("map"),
    tie("set"),
  ),
  object: fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: false }),
  list: fc.array(fc.option(tie("value"), { nil: "hole", freq: 5 }), { maxLength: 4 }).map((elements) => {
    const list: unknown[] = [];
    list.length = elements.length;
    for (const [i, element] of elements.entries()) if (element !== "hole") list[i] = element;
    return list;
  }),
  map: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((elements) => new Set(elements)),
}));
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    plainLeaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(plainName, tie("value"), { maxKeys: 4 }),
  ),
})).value;

/** toStrictEqual tells 0 from -0, holes from undefined, and prototypes apart; ours all have Object.prototype. */
function likeParsed(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [likeParsed(k), likeParsed(v)]));
  if (value instanceof Set) return new Set([...value].map(likeParsed));
  if (Array.isArray(value)) return value.map(likeParsed);
  if (Object.getPrototypeOf(value) !== null && Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, likeParsed(v)]));
}

/** Equality written out, with Object.is at the leaves, since matchers know little of `__proto__` or detours of views. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof RegExp) return a.source === (b as RegExp).source && a.flags === (b as RegExp).flags;
  if (a instanceof Map) return same([...a], [...(b as Map<unknown, unknown>)]);
  if (a instanceof Set) return same([...a], [...(b as Set<unknown>)]);
  if (a instanceof ArrayBuffer) return same([...new Uint8Array(a)], [...new Uint8Array(b as ArrayBuffer)]);
  if (ArrayBuffer.isView(a)) return same(bytesOf(a), bytesOf(b as ArrayBufferView));
  const names = Object.keys(a);
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  if (!same(names.join("\n"), Object.keys(b).join("\n"))) return false;
  return names.every((n) => same((a as Record<string, unknown>)[n], (b as Record<string, unknown>)[n]));
}
const bytesOf = (v: ArrayBufferView): number[] => [...new Uint8Array(v.buffer, v.byteOffset, v.byteLength)];

describe("round trip", () => {
  test("[MV6] plain JSON values stay JSON text and come back the same", () => {
    fc.assert(
      fc.property(plain, (value) => {
        const bytes = encode(value);
        expect(jsonOf(bytes)?.isRich === false).toBe(true);
        expect(new TextDecoder().decode(bytes.subarray(1))).toBe(JSON.stringify(value));
        expect(same(decodeValue(bytes), likeParsed(value))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("[MV6] all that structured clone can store comes back as its clone, and the input stays as it was", () => {
    fc.assert(
      fc.property(cloneable.value, (value) => {
        const before = structuredClone(value);
        const decoded = roundTrip(value);
        expect(same(decoded, likeParsed(value))).toBe(true);
        expect(same(decoded, before)).toBe(true);
        expect(same(structuredClone(value), before)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

/** The JSON text within encoded bytes. */
function textOf(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes, "value", 1);
  return new TextDecoder().decode(jsonOf(bytes)?.isRich === false ? bytes.subarray(1) : reader.take(reader.varint()));
}

test("[MV6] no stored text has a key with an escape, which some engines misread", () => {
  const strings = /"((?:[^"\\]|\\.)*)"(:?)/g;
  fc.assert(
    fc.property(fc.oneof(cloneable.value, plain, fc.dictionary(name, plainLeaf)), (value) => {
      const keys = [...textOf(encode(value)).matchAll(strings)].filter(([, , colon]) => colon === ":");
      expect(keys.filter(([, key]) => key!.includes("\\"))).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

describe("damage", () => {
  /** Whether decoding ends as promised, and leaves the prototypes alone. */
  const decodesOrCorrupt = (bytes: Uint8Array): boolean => {
    try {
      decodeValue(bytes);
    } catch (e) {
      if (!isTidemarkError(e, "CORRUPT")) throw e;
    }
    return Object.keys(Object.prototype).length === 0 && !("x" in {}) && !("a" in {});
  };
  const rich = (json: string, attached: readonly number[]): Uint8Array => {
    const into = new ByteWriter();
    into.u8(2);
    into.text(json);
    into.bytes(new Uint8Array(attached));
    return into.finish();
  };

  test("bytes changed or cut off decode to something or are CORRUPT", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(cloneable.value, damage, fc.nat(3), (value, changes, cut) => {
        const bytes = encode(value);
        for (const [at, b] of changes) bytes[at % bytes.length] = b;
        expect(decodesOrCorrupt(bytes.subarray(0, bytes.length - cut))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test("well-formed text with random patches decodes to something or is CORRUPT", () => {
    const step = fc.constantFrom<unknown>(
      "a",
      "__proto__",
      "constructor",
      "prototype",
      "length",
      "0",
      0,
      1,
      -1,
      0.5,
      null,
      {},
      [1],
    );
    const code = fc.constantFrom("u", "n", "i", "d", "r", "m", "s", "o", "h", "b", "v", "B", "F", "?", 5);
    const need = fc.oneof(
      step,
      fc.constantFrom<unknown>("NaN", "ff", "-", "g", "Uint8Array", "BigInt64Array", 4e9, [0], 1e300, ""),
    );
    const patch = fc.tuple(code, fc.array(need, { maxLength: 4 }), fc.array(step, { maxLength: 3 }));
    const skeleton = fc.constantFrom<unknown>(
      0,
      [],
      [0, [0, 0]],
      { a: [[0, 0]] },
      JSON.parse('{"__proto__":{"a":0},"a":{"x":0}}'),
    );
    fc.assert(
      fc.property(
        skeleton,
        fc.array(patch, { maxLength: 4 }),
        fc.array(fc.nat(255), { maxLength: 9 }),
        (s, ps, attached) => {
          expect(decodesOrCorrupt(rich(JSON.stringify([s, ps.map(([c, n, p]) => [c, ...n, ...p])]), attached))).toBe(
            true,
          );
        },
      ),
      { numRuns: 5000 },
    );
  });
});
