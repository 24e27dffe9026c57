import fc from "fast-check";
import { xxHash32 } from "js-xxhash";
import { expect, test } from "vitest";
import { checksum } from "../base/checksum.ts";

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

test("a checksum is XXH32, by values that others computed", () => {
  expect(checksum(text(""))).toBe(0x02cc5d05);
  expect(checksum(text(""), 0x9e3779b1)).toBe(0x36b78ae7);
  expect(checksum(text("abc"))).toBe(0x32d153ff);
  expect(checksum(text("Nobody inspects the spammish repetition"))).toBe(0xe2293b2f);
});

test("a checksum is XXH32, as another implementation has it, wherever the bytes lie in their buffer", () => {
  const anySeed = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 20 }), anySeed, (bytes, from, seed) => {
      const part = bytes.subarray(from);
      expect(checksum(part, seed)).toBe(xxHash32(part, seed) >>> 0);
    }),
  );
});
