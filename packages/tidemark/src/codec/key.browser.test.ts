import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeKey } from "./key.ts";

const unit = fc.oneof(
  fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xffff),
  fc.nat(0xffff),
);
const text = fc.array(unit, { maxLength: 5 }).map((units) => String.fromCharCode(...units));
const number = fc.oneof(
  fc.constantFrom(0, -0, Infinity, -Infinity, 5e-324, -5e-324),
  fc.integer(),
  fc.double({ noNaN: true }),
);
const bytes = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 255), fc.nat(255)), { maxLength: 4 });
const binary = bytes.chain((b) => fc.constantFrom<IDBValidKey>(new Uint8Array(b), new Uint8Array(b).buffer));
const date = fc.date({ noInvalidDate: true });
const key = fc.letrec<{ key: IDBValidKey }>((tie) => ({
  key: fc.oneof({ maxDepth: 4 }, number, date, text, binary, fc.array(tie("key"), { maxLength: 3 })),
})).key;

const order = (a: IDBValidKey, b: IDBValidKey): number => {
  const [x, y] = [encodeKey(a, "a"), encodeKey(b, "b")];
  return x < y ? -1 : x > y ? 1 : 0;
};

test("[MV7] byte order is indexedDB.cmp for every pair of edge cases", () => {
  const texts = [
    "",
    "\0",
    "\0\0",
    "\u0001",
    "a",
    "a\0",
    "\x7f",
    "\x80",
    "\ud7ff",
    "\ud800",
    "\ud800\udc00",
    "\udbff\udfff",
  ];
  const scalars: IDBValidKey[] = [
    -Infinity,
    -1.5,
    -5e-324,
    -0,
    0,
    5e-324,
    1,
    Infinity,
    ...[-8.64e15, -1, 0, 8.64e15].map((ms) => new Date(ms)),
    ...texts,
    "\udc00",
    "\udc00\ud800",
    "\udfff",
    "\ue000",
    "\uffff",
    ...[[], [0], [0, 0], [1], [1, 1], [2], [255]].map((b) => new Uint8Array(b)),
  ];
  const keys: IDBValidKey[] = [
    ...scalars,
    [],
    [[]],
    [[[]]],
    ...scalars.map((s) => [s]),
    ...scalars.map((s) => [[s], 1]),
  ];
  const pairs = keys.flatMap((a) => keys.map((b) => [a, b] as const));
  expect(pairs.filter(([a, b]) => order(a, b) !== indexedDB.cmp(a, b))).toEqual([]);
});

test("[MV7] byte order is indexedDB.cmp for random keys", () => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      expect(order(a, b)).toBe(indexedDB.cmp(a, b));
    }),
    { numRuns: 5000 },
  );
});

test("[MV7] texts that share a beginning are in the order of indexedDB.cmp", () => {
  fc.assert(
    fc.property(text, text, text, (start, a, b) => {
      expect(order(start + a, start + b)).toBe(indexedDB.cmp(start + a, start + b));
    }),
  );
});
