import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteWriter, joined } from "../base/bytes.ts";
import { expectSame, blob, file, notableSizes } from "./blobs.test-support.ts";
import { type Aside, isWhole, readBytes, sizeOf, type ValueBytes } from "./aside.ts";
import { packValues, unpackValues } from "./values.ts";
import { Splitter } from "./splitter.ts";
import { decodeValue, encodeValue } from "./value.ts";

const small = notableSizes.filter((size) => size < 300_000);
const size = fc.oneof(fc.constantFrom(...small), fc.nat(100_000));
const leaf = fc.oneof(
  fc.tuple(size, fc.nat(9)).map(([n, seed]) => blob(n, seed)),
  fc.tuple(size, fc.nat(9)).map(([n, seed]) => file(n, seed)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes.slice()),
  fc.nat(70_000).map((n) => new Uint8Array(n).fill(n)),
  fc.date(),
  fc.string(),
  fc.constantFrom<unknown>(undefined, null, -0, 1n),
);
/** A blob may stand in it twice. */
const value = fc
  .tuple(fc.array(leaf, { maxLength: 5 }), fc.array(fc.nat(4), { maxLength: 2 }), fc.string({ maxLength: 200 }))
  .map(([leaves, again, text]) => ({
    text: text.repeat(200),
    leaves,
    again: new Map(again.map((i) => [i, leaves[i]])),
    nested: [Object.assign({}, leaves.slice(2))],
  }));

async function bytesOfBlobs(blobs: readonly { arrayBuffer(): Promise<ArrayBuffer> }[]) {
  return new Map(await Promise.all(blobs.map(async (b) => [b, new Uint8Array(await b.arrayBuffer())] as const)));
}

async function encoded(of: unknown, splits: boolean): Promise<ValueBytes> {
  const into = new ByteWriter();
  into.u8(9); // nothing is said to begin at 0
  const aside: Aside[] = [];
  const given = splits ? aside : undefined;
  const unread = encodeValue(of, into, "notes", undefined, given);
  if (unread.length > 0) expect(encodeValue(of, into, "notes", await bytesOfBlobs(unread), given)).toEqual([]);
  const bytes = into.finish().subarray(1);
  return aside.length === 0 ? bytes : { bytes, aside: aside.map((one) => ({ ...one, at: one.at - 1 })) };
}

/** Stretches of any lengths. */
function* cuts(total: number, lengths: readonly number[]): Generator<readonly [number, number], void> {
  for (let from = 0, i = 0; from < total; i++) {
    const to = Math.min(total, from + (lengths[i % lengths.length] ?? total));
    yield [from, to];
    from = to;
  }
}

const lengths = fc.array(fc.oneof(fc.constantFrom(61_440, 245_760), fc.integer({ min: 1000, max: 90_000 })), {
  minLength: 1,
  maxLength: 4,
});

describe("a value with blobs aside", { timeout: 60_000 }, () => {
  test("[MV6] has the very bytes of one that has them in it, in pieces of any lengths", async () => {
    await fc.assert(
      fc.asyncProperty(value, lengths, async (one, steps) => {
        const whole = (await encoded(one, false)) as Uint8Array;
        const split = await encoded(one, true);
        expect(sizeOf(split)).toBe(whole.length);
        const pieces: Uint8Array[] = [];
        for (const [from, to] of cuts(whole.length, steps)) pieces.push(await readBytes(split, from, to));
        expect(Buffer.compare(joined(pieces, whole.length), whole)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("[MV6] is made of its bytes as they come, and is the value that was", async () => {
    await fc.assert(
      fc.asyncProperty(value, lengths, fc.boolean(), async (one, steps, isRoomy) => {
        const whole = (await encoded(one, false)) as Uint8Array;
        const splitter = new Splitter(whole.length, isRoomy ? undefined : 1000);
        for (const [from, to] of cuts(whole.length, steps)) splitter.push(whole.subarray(from, to));
        const made = splitter.finish();
        expect(sizeOf(made)).toBe(whole.length);
        const given = await encoded(one, true);
        expect(isWhole(made) ? 0 : made.aside.length).toBe(isWhole(given) ? 0 : given.aside.length);
        await expectSame(decodeValue(made), one);
      }),
      { numRuns: 60 },
    );
  });

  test("[MV6] crosses among others in one message", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(value, { nil: undefined }), { maxLength: 4 }), async (all) => {
        const packed = packValues(await Promise.all(all.map(async (one) => one && encoded(one, true))));
        await expectSame(unpackValues(packed), all);
      }),
      { numRuns: 40 },
    );
  });
});

test("[MV8] what says that it is longer, or is cut, is no value", async () => {
  const whole = (await encoded({ photo: blob(50_000), at: new Date(1) }, false)) as Uint8Array;
  const cut = new Splitter(whole.length);
  cut.push(whole.subarray(0, 45_000));
  expect(() => cut.finish()).toThrow("ends within a blob");
  const split = (await encoded({ photo: blob(50_000) }, true)) as Exclude<ValueBytes, Uint8Array>;
  for (const aside of [[], [{ at: 3, blob: blob(50_000) }], [...split.aside, ...split.aside]]) {
    expect(() => decodeValue({ ...split, aside })).toThrow(expect.objectContaining({ code: "CORRUPT" }));
  }
});

test("[MV6] a blob that cannot be read is told by its place", async () => {
  const split = (await encoded({ photos: [new Date(0), blob(50_000)] }, true)) as Exclude<ValueBytes, Uint8Array>;
  const gone = {
    size: 50_000,
    type: "",
    slice: () => gone,
    arrayBuffer: () => Promise.reject(new Error("NotReadable")),
  };
  const aside = split.aside.map((one) => ({ ...one, blob: gone }));
  await expect(readBytes({ ...split, aside }, 0, 40_000)).rejects.toMatchObject({
    code: "VALUE_UNSUPPORTED",
    details: { path: "notes.photos[1]", why: "unreadable" },
  });
});

test("[MV6] where the platform has no blobs to make, the value is whole", async () => {
  const whole = (await encoded({ photo: blob(50_000), at: new Date(1) }, false)) as Uint8Array;
  const { Blob } = globalThis;
  const splitter = new Splitter(whole.length);
  Reflect.deleteProperty(globalThis, "Blob");
  try {
    splitter.push(whole);
  } finally {
    globalThis.Blob = Blob;
  }
  expect(splitter.finish()).toEqual(whole);
});
