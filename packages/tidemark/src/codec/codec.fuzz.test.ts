import fc from "fast-check";
import { expect, test } from "vitest";
import { type ByteKey, byteKey } from "../base/brand.ts";
import { ByteWriter, keyFromBytes } from "../base/bytes.ts";
import { attempt, bareInputs, fuzzRuns, mutantsOf } from "../base/mutations.test-support.ts";
import { decodeKey, encodeIndexKey, keyEnd } from "./key.ts";
import { outsideIn, outsideOf } from "./outside.ts";
import { indexEntriesOf, readWrites, recordValue, writeRecordHead, writeWriteHead } from "./record.ts";
import { packValues, unpackValues, type Values } from "./values.ts";
import { decodeValue, encodeValue } from "./value.ts";

const numRuns = fuzzRuns(1000);

const keyValue = fc.letrec<{ key: unknown }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 3 },
    fc.double({ noNaN: true }),
    fc.constantFrom(null, true, false),
    fc.string({ unit: "binary" }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 8 }),
    fc.array(tie("key"), { maxLength: 3 }),
  ),
})).key;
const bytesOfKey = (key: ByteKey): Uint8Array => Uint8Array.from(key, (unit) => unit.charCodeAt(0));
const keyBytes = keyValue.map((key) => bytesOfKey(encodeIndexKey(key, "key")));

test("[MV7] bytes are refused as a key, or are the only ones of the key that they are read as", () => {
  fc.assert(
    fc.property(bareInputs(keyBytes), (bytes) => {
      const key = keyFromBytes(bytes);
      const found = attempt(() => decodeKey(key), ["CORRUPT"]);
      const end = attempt(() => keyEnd(key, 0), ["CORRUPT"]);
      if ("code" in found) return;
      expect(encodeIndexKey(found.answer, "key")).toBe(key);
      expect(end).toEqual({ answer: key.length });
    }),
    { numRuns },
  );
});

const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom<unknown>(undefined, null, true, NaN, -Infinity, -0, 7, 12n, -3n, new Date(5), new Date(NaN), /a/gu),
    fc.constantFrom<unknown>(new ArrayBuffer(3), new Uint16Array(3), new DataView(new ArrayBuffer(2))),
    fc.dictionary(fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("__proto__", "toString")), tie("value"), {
      maxKeys: 3,
    }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(tie("value"), { maxLength: 2 }).map((all) => Object.assign([], { 2: 1, 9: all })),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 2 }).map((all) => new Map(all)),
    fc.array(tie("value"), { maxLength: 2 }).map((all) => new Set(all)),
  ),
})).value;
function encoded(of: unknown): Uint8Array {
  const out = new ByteWriter();
  encodeValue(of, out, "value");
  return out.finish();
}
const valueBytes = value.map(encoded);

/** Values with a text that JSON reads, in which anything else may be wrong. */
const patchedBytes = fc
  .tuple(
    fc.json({ maxDepth: 3 }),
    fc.array(
      fc.array(
        fc.oneof(
          fc.constantFrom("u", "m", "s", "o", "n", "i", "d", "b", "r", "h", "v", "B", "F", "", "__proto__", "length"),
          fc.constantFrom("Uint8Array", "constructor", "NaN", "-", "ff", null, 0, 1, 2, -1, 0.5, 4294967295, 1e300),
          fc.constantFrom<unknown>([], [0], [[0, 1]], [0, 4294967294], {}),
        ),
        { maxLength: 6 },
      ),
      { maxLength: 4 },
    ),
    fc.uint8Array({ maxLength: 4 }),
  )
  .map(([skeleton, patches, attached]) => {
    const out = new ByteWriter();
    out.u8(2);
    out.text(`[${skeleton},${JSON.stringify(patches)}]`);
    out.bytes(attached);
    return out.finish();
  });
const valueInputs = fc.oneof(bareInputs(valueBytes), patchedBytes, mutantsOf(patchedBytes));

test("[MV6] bytes are refused as a value, or are read as one that can be stored", () => {
  fc.assert(
    fc.property(valueInputs, (bytes) => {
      const found = attempt(() => decodeValue(bytes), ["CORRUPT"]);
      if ("code" in found) return;
      const again = attempt(() => encoded(found.answer), ["VALUE_UNSUPPORTED"]);
      if ("answer" in again && again.answer.length > 0)
        expect(encoded(decodeValue(again.answer))).toEqual(again.answer);
    }),
    { numRuns: 2 * numRuns },
  );
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test("[MV6] many values in one message, of any bytes, are refused or are as many as were sent", () => {
  fc.assert(
    fc.property(fc.array(fc.option(valueInputs, { nil: undefined }), { maxLength: 4 }), (values) => {
      const packed = attempt(() => packValues(values), ["CORRUPT"]);
      if ("code" in packed) return;
      const found = attempt(() => unpackValues(packed.answer), ["CORRUPT"]);
      if ("answer" in found) expect(found.answer).toHaveLength(values.length);
    }),
    { numRuns },
  );
});

test("a message of values that is itself damaged is refused, or holds as many as it says", () => {
  const sent = fc.array(fc.option(valueBytes, { nil: undefined }), { maxLength: 4 }).map(packValues);
  const mutant = sent.chain((of): fc.Arbitrary<Values> => {
    const buffer = (bytes: Uint8Array): fc.Arbitrary<Uint8Array<ArrayBuffer>> =>
      fc.oneof(fc.constant(bytes), mutantsOf(fc.constant(bytes))).map((b) => Uint8Array.from(b));
    if (of.form === "mixed") return buffer(of.bytes).map((bytes) => ({ ...of, bytes }));
    const count = fc.oneof(fc.constant(of.count), fc.constantFrom(0, 1, 7, 2 ** 40));
    const kinds = fc.option(buffer(of.kinds ?? new Uint8Array(2)), { nil: undefined });
    return fc.record({ form: fc.constant("json" as const), text: buffer(of.text), count, kinds });
  });
  fc.assert(
    fc.property(mutant, (packed) => {
      const found = attempt(() => unpackValues(packed), ["CORRUPT"]);
      if ("answer" in found && packed.form === "json") expect(found.answer).toHaveLength(packed.count);
    }),
    { numRuns },
  );
});

const payload = fc.tuple(fc.array(keyBytes, { maxLength: 3 }), valueBytes).map(([keys, of]) => {
  const out = new ByteWriter();
  writeRecordHead(
    out,
    keys.map((k) => keyFromBytes(k)),
  );
  out.bytes(of);
  return out.finish();
});

test("a record of any bytes is refused, or its index entries and its value lie within it", () => {
  const key = byteKey("\0\0\0\u0001k");
  fc.assert(
    fc.property(bareInputs(fc.oneof(payload, fc.constant(Uint8Array.of(0, 3, 64, 9)))), (bytes) => {
      const entries = attempt(() => indexEntriesOf(key, bytes), ["CORRUPT"]);
      const of = attempt(() => recordValue(bytes), ["CORRUPT"]);
      attempt(() => outsideOf(bytes), ["CORRUPT"]);
      if ("answer" in of) attempt(() => outsideIn(of.answer), ["CORRUPT"]);
      if ("code" in entries || "code" in of) return;
      const headBytes = bytes.length - of.answer.length;
      expect(entries.answer.reduce((n, e) => n + e.length - 1, 0)).toBeLessThanOrEqual(headBytes);
    }),
    { numRuns },
  );
});

test("a batch of writes of any bytes is refused, or is what those bytes are written as", () => {
  const batch = fc
    .array(fc.tuple(fc.constantFrom("put", "add", "delete"), keyBytes, payload), { maxLength: 3 })
    .map((all) => {
      const out = new ByteWriter();
      for (const [kind, key, of] of all) {
        writeWriteHead(out, kind, keyFromBytes(key), of.length);
        if (kind !== "delete") out.bytes(of);
      }
      return out.finish();
    });
  fc.assert(
    fc.property(bareInputs(batch), (bytes) => {
      const found = attempt(() => readWrites({ writes: bytes }), ["CORRUPT"]);
      if ("code" in found) return;
      const out = new ByteWriter();
      for (const { kind, key, payload: of } of found.answer) {
        expect(key.length).toBeGreaterThanOrEqual(4);
        writeWriteHead(out, kind, key, of?.length ?? 0);
        if (of) out.bytes(of);
      }
      expect(out.length).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns },
  );
});

test("a batch of writes is refused, at once, for a kind that is none, a key without a table, and a key beyond its end", () => {
  const batches = [
    [9, 4, 0, 0, 0, 0],
    [2, 3, 0, 0, 0],
    [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  ];
  for (const bytes of batches)
    expect(attempt(() => readWrites({ writes: Uint8Array.from(bytes) }))).toEqual({ code: "CORRUPT" });
});

test("what damaged patches make over and over is bounded by the bytes that say so", () => {
  const count = 20_000;
  const out = new ByteWriter();
  out.u8(2);
  const holes = Array.from({ length: count }, (_, i) => [
    ["h", 10 * count, [], 0, i],
    ["s", 0, i],
  ]).flat();
  out.text(JSON.stringify([Array.from({ length: count }, () => []), holes]));
  expect(attempt(() => decodeValue(out.finish()))).toEqual({ code: "CORRUPT" });
});
