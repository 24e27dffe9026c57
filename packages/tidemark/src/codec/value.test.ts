import { describe, expect, test } from "vitest";
import { ByteWriter } from "../base/bytes.ts";
import { isTidemarkError } from "../base/errors.ts";
import { decodeValue, encodeValue, jsonOf } from "./value.ts";

function encode(value: unknown, blobBytes?: ReadonlyMap<object, Uint8Array>): Uint8Array<ArrayBuffer> {
  const into = new ByteWriter(4);
  into.u8(7);
  expect(encodeValue(value, into, "notes", blobBytes)).toEqual([]);
  return into.finish().subarray(1);
}
const roundTrip = (value: unknown): unknown => decodeValue(encode(value));

/** The failure of encoding; checks that nothing was appended. */
function refusal(value: unknown, blobBytes?: ReadonlyMap<object, Uint8Array>): unknown {
  const into = new ByteWriter();
  into.u8(7);
  try {
    encodeValue(value, into, "notes", blobBytes);
  } catch (e) {
    if (into.length !== 1) return `${into.length - 1} bytes were appended`;
    return isTidemarkError(e) ? { code: e.code, message: e.message, details: e.details } : e;
  }
  return undefined;
}

describe("round trip", () => {
  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["NaN", Number.NaN],
    ["-0", -0],
    ["-Infinity", -Infinity],
    ["bigint", -(10n ** 400n)],
    ["invalid Date", new Date(Number.NaN)],
    ["Map of Maps", new Map([[new Map([[-0, undefined]]), new Set([new Date(5)])]])],
    ["lone surrogate", { "\ud800": ["\udfff", undefined] }],
    ["emoji beside a special", ["😀", 1n]],
  ])("[MV6] %s, at the root and within", (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
    expect(roundTrip([{ a: value }])).toStrictEqual([{ a: value }]);
  });

  test("[MV6] holes and undefined differ, also in huge sparse arrays", () => {
    const list: unknown[] = [];
    list[3] = undefined;
    list[1_000_000] = new Date(1);
    list.length = 4_294_967_295;
    const decoded = roundTrip({ list }) as { list: unknown[] };
    expect(Object.keys(decoded.list)).toEqual(["3", "1000000"]);
    expect(decoded.list).toHaveLength(4_294_967_295);
    expect(decoded.list[1_000_000]).toEqual(new Date(1));
  });

  test("[MV6] a view carries only what it shows, in a buffer of its own", () => {
    const decoded = roundTrip(new Uint16Array(new Uint8Array(100).buffer, 10, 4)) as Uint16Array;
    expect([decoded.byteOffset, decoded.length, decoded.buffer.byteLength]).toEqual([0, 4, 8]);
  });

  test("[MV6] plain objects without prototype", () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1n }))).toStrictEqual({ a: 1n });
  });

  test("[MV6] values at the largest depth", () => {
    const nest = (leaf: unknown, depth: number): unknown =>
      Array.from({ length: depth }).reduce<unknown>((inner, _, i) => (i % 2 === 0 ? [inner] : { inner }), leaf);
    for (const leaf of [1, 1n]) {
      expect(roundTrip(nest(leaf, 500))).toStrictEqual(nest(leaf, 500));
      expect(refusal(nest(leaf, 501))).toMatchObject({ code: "VALUE_UNSUPPORTED", details: { type: "nesting" } });
    }
    expect(refusal(nest(1, 200_000))).toMatchObject({ details: { type: "nesting" } });
  });
});

describe("JSON's traps", () => {
  test("[MV6] own __proto__ survives, plain and rich, and reaches no prototype", () => {
    for (const json of ['{"__proto__":{"polluted":1},"a":2}', '{"a":{"__proto__":[1]}}']) {
      const value: unknown = JSON.parse(json);
      expect(JSON.stringify(roundTrip(value))).toBe(json);
      const { kept, date } = roundTrip({ kept: value, date: new Date(0) }) as { kept: unknown; date: Date };
      expect([JSON.stringify(kept), date.getTime()]).toEqual([json, 0]);
    }
    const special: unknown = Object.defineProperty({}, "__proto__", { value: new Date(5), enumerable: true });
    const decoded = roundTrip(special) as object;
    expect(Object.getOwnPropertyDescriptor(decoded, "__proto__")?.value).toEqual(new Date(5));
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test("[MV6] toJSON never runs: an own function is refused, other values are data", () => {
    expect(refusal({ a: { toJSON: () => "lost" } })).toMatchObject({
      details: { path: ".a.toJSON", type: "function" },
    });
    expect(roundTrip({ toJSON: 5, b: new Date(1) })).toStrictEqual({ toJSON: 5, b: new Date(1) });
  });

  test.each([
    ["Object", Object.prototype],
    ["Array", Array.prototype],
  ])("[MV6] toJSON added to %s.prototype never runs", (_, prototype) => {
    Object.defineProperty(prototype, "toJSON", { value: () => "lost", configurable: true, writable: true });
    try {
      const values = [{ a: [1, { b: "c\n" }], n: null }, [[]], { a: [new Date(1), undefined], m: new Map([[{}, []]]) }];
      const decoded = values.map(roundTrip);
      expect(decoded).toStrictEqual(values);
      expect(jsonOf(encode(values[0]))?.isRich === false).toBe(true);
    } finally {
      Reflect.deleteProperty(prototype, "toJSON");
    }
  });

  test("[MV6] names with escapes survive a JSON.parse that misreads them once it has met a backslash", () => {
    JSON.parse('{"h":[],"\\\\":0}');
    for (const name of ['"', "\n", "\0", "\\", "\ud800", '"__proto__']) {
      for (const value of [
        { h: 1, [name]: 2 },
        { h: 1, [name]: { h: 1, [name]: [new Date(3), undefined] } },
      ]) {
        expect(roundTrip(value)).toStrictEqual(value);
        expect(roundTrip([value, "\n"])).toStrictEqual([value, "\n"]);
      }
    }
    expect(jsonOf(encode({ text: 'a "quoted"\nline \ud800', ä: "\\" }))?.isRich === false).toBe(true);
    expect(refusal({ '"': 1, a: { '"': [() => 1] } })).toMatchObject({ details: { path: '.a["\\""][0]' } });
  });

  test("[MV6] enumerable names added to Object.prototype are not stored", () => {
    Reflect.defineProperty(Object.prototype, "added", {
      value: () => 1,
      configurable: true,
      enumerable: true,
      writable: true,
    });
    try {
      const [bytes, rich] = [encode({ a: { b: 1 } }), encode({ a: 1n })];
      expect(new TextDecoder().decode(bytes.subarray(1))).toBe('{"a":{"b":1}}');
      expect(Object.keys(decodeValue(rich) as object)).toEqual(["a"]);
    } finally {
      Reflect.deleteProperty(Object.prototype, "added");
    }
  });
});

describe("refusals", () => {
  class Point {
    x = 1;
  }
  class OwnMap extends Map {}
  const cyclic: Record<string, unknown> = { list: [1] };
  (cyclic["list"] as unknown[]).push(new Map([["k", cyclic]]));
  const detached = new Uint8Array(8);
  const { buffer: detachedBuffer } = detached;
  structuredClone(detachedBuffer, { transfer: [detachedBuffer] });
  const named = Object.assign([1, 2], { extra: 1 });

  test.each<[string, unknown, string]>([
    ["function", () => 1, "function"],
    ["symbol", Symbol("s"), "symbol"],
    ["class instance", new Point(), "Point"],
    ["subclass", new OwnMap(), "OwnMap"],
    ["null-prototype class", Object.create(Object.create(null)), "unnamed class"],
    ["Error", new RangeError("x"), "RangeError"],
    ["boxed number", Object(1), "Number"],
    ["boxed bigint", Object(1n), "BigInt"],
    ["WeakMap", new WeakMap(), "WeakMap"],
    ["Promise", Promise.resolve(), "Promise"],
    ["WeakRef", new WeakRef({}), "WeakRef"],
    ["shared memory", new SharedArrayBuffer(4), "SharedArrayBuffer"],
    ["view of shared memory", new Uint8Array(new SharedArrayBuffer(4)), "SharedArrayBuffer"],
    ["detached view", detached, "detached buffer"],
    ["DataView posing as a Map", Object.setPrototypeOf(new DataView(new ArrayBuffer(1)), Map.prototype), "Map"],
    ["detached buffer", detachedBuffer, "detached buffer"],
    ["fake Date", Object.create(Date.prototype), "Date"],
    ["fake Map", Object.create(Map.prototype), "Map"],
    ["fake Blob", Object.create(Blob.prototype), "Blob"],
  ])("[MV6] %s is VALUE_UNSUPPORTED, and named", (_, value, type) => {
    expect(refusal(value)).toMatchObject({ code: "VALUE_UNSUPPORTED", details: { where: "notes", path: "", type } });
    const inside = { when: new Date(0), tags: [1, 2, 3, { bad: value }] };
    expect(refusal(inside)).toMatchObject({ details: { where: "notes", path: ".tags[3].bad", type } });
  });

  test("[MV6] the message says where and what", () => {
    expect(refusal({ tags: [1, 2, 3, { fn: () => 1 }] })).toMatchObject({
      message: "notes.tags[3].fn is a function, which cannot be stored",
    });
    expect(refusal([new Point()])).toMatchObject({
      message: "notes[0] is an instance of Point, which cannot be stored",
    });
  });

  test("[MV6] places in maps, sets, odd names and arrays with holes", () => {
    const holes: unknown[] = [];
    holes[7] = Symbol("s");
    const pathOf = (value: unknown): unknown => (refusal(value) as { details: { path: string } }).details.path;
    expect(
      pathOf({
        m: new Map<unknown, unknown>([
          [1, 2],
          [3, { f: () => 1 }],
        ]),
      }),
    ).toBe(".m<value 1>.f");
    expect(pathOf({ m: new Map([[() => 1, 1]]) })).toBe(".m<key 0>");
    expect(pathOf({ s: new Set([1, [() => 1]]) })).toBe(".s<element 1>[0]");
    expect(pathOf({ "odd name": { "": holes } })).toBe('["odd name"][""][7]');
    expect(refusal({ named })).toMatchObject({ details: { path: ".named.extra", type: "named property" } });
  });

  test("[MV6] cycles are named where they close", () => {
    expect(refusal({ cyclic })).toMatchObject({
      code: "VALUE_UNSUPPORTED",
      details: { path: ".cyclic.list[1]<value 0>", type: "cycle" },
    });
  });

  test("[MV6] what a getter throws is passed on, with nothing written", () => {
    const thrown = new TypeError("mine");
    const value = {
      m: new Map([
        [
          1,
          {
            get x(): never {
              throw thrown;
            },
          },
        ],
      ]),
    };
    expect(refusal(value)).toBe(thrown);
  });
});

describe("blobs", () => {
  const blob = new Blob(["hello"], { type: "text/plain" });
  const file = new File([new Uint8Array([1, 2, 3])], "ä.bin", { type: "image/x", lastModified: 12_345 });

  test("[MV6] are asked for first, with nothing written", () => {
    const into = new ByteWriter();
    const needed = encodeValue({ a: blob, b: [new Map([[file, blob]])] }, into, "notes");
    expect(new Set(needed)).toEqual(new Set([blob, file]));
    expect(into.length).toBe(0);
  });

  test("[MV6] come back with type, name and time", async () => {
    const needed = encodeValue({ a: blob, b: [file], d: new Uint8Array([9]) }, new ByteWriter(), "notes");
    const read = await Promise.all(needed.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const));
    const decoded = decodeValue(encode({ a: blob, b: [file], d: new Uint8Array([9]) }, new Map(read))) as {
      a: Blob;
      b: [File];
      d: Uint8Array;
    };
    expect([decoded.a.type, await decoded.a.text(), decoded.a instanceof File]).toEqual(["text/plain", "hello", false]);
    const [got] = decoded.b;
    expect([got.name, got.type, got.lastModified]).toEqual(["ä.bin", "image/x", 12_345]);
    expect([...new Uint8Array(await got.arrayBuffer())]).toEqual([1, 2, 3]);
    expect(decoded.d).toEqual(new Uint8Array([9]));
  });

  test("[MV6] one whose bytes are missing is refused", () => {
    expect(refusal({ a: [blob, file] }, new Map([[blob, new Uint8Array(5)]]))).toMatchObject({
      code: "VALUE_UNSUPPORTED",
      details: { path: ".a[1]", type: "File" },
    });
  });
});

describe("damage", () => {
  const rich = (json: string, attached: readonly number[] = []): Uint8Array => {
    const into = new ByteWriter();
    into.u8(2);
    into.text(json);
    into.bytes(new Uint8Array(attached));
    return into.finish();
  };

  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["unknown kind", new Uint8Array([9, 1])],
    ["broken JSON", new Uint8Array([1, 0x7b])],
    ["broken UTF-8", new Uint8Array([1, 0x22, 0xff, 0x22])],
    ["length past the end", new Uint8Array([2, 200, 1])],
    ["no pair", rich("[1]")],
    ["patches of no list", rich("[0,1]")],
    ["patch of no list", rich("[0,[1]]")],
    ["unknown code", rich('[0,[["?"]]]')],
    ["path through a prototype", rich('[{},[["d",1,"__proto__","x"]]]')],
    ["path to a method", rich('[{},[["d",1,"constructor","prototype"]]]')],
    ["path through a primitive", rich('[5,[["u","x"]]]')],
    ["length of an array", rich('[[1],[["u","length"]]]')],
    ["impossible digits", rich('[0,[["i","zz"]]]')],
    ["impossible RegExp", rich('[0,[["r","(",""]]]')],
    ["Map of no pairs", rich('[[1],[["m"]]]')],
    ["endless holes made a Set", rich('[[],[["h",4294967295,[]],["s"]]]')],
    ["entries without names", rich('[[[1,2]],[["o"]]]')],
    ["endless holes twice", rich('[[],[["h",4294967295,[]],["h",4294967295,[]]]]')],
    ["too long an array", rich('[[],[["h",1e300,[]]]]')],
    ["descending indexes", rich('[[1,2],[["h",5,[1,0]]]]')],
    ["attachment too short", rich('[0,[["b",5]]]', [1, 2])],
    ["attachment left over", rich('[0,[["u"]]]', [1])],
    ["misaligned view", rich('[0,[["v","Float64Array",5]]]', [1, 2, 3, 4, 5])],
    ["view of no type", rich('[0,[["v","Object",1]]]', [1])],
  ])("%s is CORRUPT", (_, bytes) => {
    expect(() => decodeValue(bytes)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  });
});
