import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { ByteWriter } from "./base/bytes.ts";
import { checksum } from "./base/checksum.ts";
import { bareInputs, fuzzRuns, mutantsOf } from "./base/mutations.test-support.ts";
import { type ImportOptions, isTidemarkError } from "./index.ts";
import { anyThings, bytesOf, streamOf, withDatabases, type World } from "./transfer.test-support.ts";

vi.setConfig({ testTimeout: 600_000 });

const numRuns = fuzzRuns(120);
const codes = ["CORRUPT", "FORMAT_UNSUPPORTED", "VALIDATION", "VALUE_UNSUPPORTED", "KEY_INVALID", "UNKNOWN_NAME"];

/** Imports it, and answers what there is then; whatever ends that has a code, and says where to go on. */
async function imported(db: World, bytes: Uint8Array, options: ImportOptions): Promise<readonly unknown[]> {
  for (const name of ["things", "places"] as const) await db.collection(name).clear();
  try {
    await db.import(streamOf(bytes, [7, 300]), options);
  } catch (e) {
    if (!isTidemarkError(e)) throw e;
    expect(codes).toContain(e.code);
    expect(Number.isSafeInteger(e.details["resumeAfter"])).toBe(true);
  }
  return [...(await db.collection("things").all()), ...(await db.collection("places").all())];
}

/** The frames of a native stream, each with a checksum that fits. */
const framed = (frames: readonly (readonly [type: number, payload: Uint8Array])[]): Uint8Array => {
  const out = new ByteWriter();
  out.bytes(Uint8Array.of(0x89, 0x54, 0x4d, 0x45, 0x58, 0x0d, 0x0a, 0x1a, 1, 0, 0, 0));
  let sum = 0;
  for (const [type, payload] of frames) {
    const from = out.length;
    out.u8(type);
    out.varint(payload.length);
    out.bytes(payload);
    sum = checksum(out.written(from), sum);
    out.u32(sum);
  }
  return out.finish();
};
function framesIn(bytes: Uint8Array): (readonly [number, Uint8Array])[] {
  const frames: (readonly [number, Uint8Array])[] = [];
  for (let at = 12; at < bytes.length;) {
    const type = bytes[at++]!;
    let length = 0;
    for (let scale = 1, b = 0x80; b >= 0x80; scale *= 0x80) length += ((b = bytes[at++]!) & 0x7f) * scale;
    frames.push([type, bytes.slice(at, at + length)]);
    at += length + 4;
  }
  return frames;
}

async function exports(format: ImportOptions["format"], collection?: "things"): Promise<readonly Uint8Array[]> {
  const made: Uint8Array[] = [];
  await withDatabases(1, async (db) => {
    for (const things of fc.sample(anyThings, 12)) {
      await db.collection("things").clear();
      await db.collection("things").putMany(things);
      await db.collection("places").put({ at: [1, new Date(5)], value: "x" });
      made.push(await bytesOf(db.export({ format: format!, ...(collection ? { collection } : {}) })));
    }
  });
  return made;
}

test("a native export of any bytes is imported or refused, frame by frame", async () => {
  const whole = await exports("tidemark");
  expect(framed(framesIn(whole[0]!))).toEqual(whole[0]);
  const valid = fc.constantFrom(...whole);
  const reframed = valid.chain((bytes) => {
    const frames = framesIn(bytes);
    return fc
      .tuple(fc.nat(frames.length - 1), fc.constantFrom(1, 2, 3, 7), fc.boolean())
      .chain(([at, type, keepsType]) =>
        mutantsOf(fc.constant(frames[at]![1])).map((payload) =>
          framed(frames.map((f, i) => (i === at ? [keepsType ? f[0] : type, payload] : f))),
        ),
      );
  });
  await withDatabases(1, (db) =>
    fc.assert(
      fc.asyncProperty(fc.oneof(bareInputs(valid), reframed, reframed), async (bytes) => {
        await imported(db, bytes, {});
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns },
    ),
  );
});

/** Lines whose values are anything that JSON says, tags of all kinds among it. */
const taggedLine = fc
  .letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<unknown>(null, true, 0, -1, 1e300, "", "9".repeat(30), "2020-01-01", "AAAA", [], ["a", "gg"]),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          "$date",
          "$bigint",
          "$regexp",
          "$map",
          "$set",
          "$bytes",
          "$encoded",
          "$number",
          "$$x",
          "__proto__",
          "id",
        ),
        tie("value"),
        { maxKeys: 2 },
      ),
    ),
  }))
  .value.map((value) => JSON.stringify({ collection: "things", value: { id: "a", value } }));
const text = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(lines.join("\n"));

test("lines of JSON of any bytes are imported or refused", async () => {
  const valid = fc.constantFrom(...(await exports("ndjson")));
  const lines = fc.array(taggedLine, { maxLength: 4 }).map(text);
  await withDatabases(1, (db) =>
    fc.assert(
      fc.asyncProperty(fc.oneof(bareInputs(valid), lines, mutantsOf(lines)), async (bytes) => {
        await imported(db, bytes, { format: "ndjson" });
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns },
    ),
  );
});

test("comma-separated values of any bytes are imported or refused", async () => {
  const rows = fc
    .array(fc.array(fc.constantFrom("id", "n", '"a,b"', '"', "", "__proto__", '"x""y"', "1"), { maxLength: 4 }), {
      maxLength: 5,
    })
    .map((all) => text(["id,n,value", ...all.map((row) => row.join(","))]));
  await withDatabases(1, (db) =>
    fc.assert(
      fc.asyncProperty(fc.oneof(bareInputs(rows), rows), async (bytes) => {
        const found = await imported(db, bytes, { format: "csv", collection: "things" });
        for (const one of found) expect(Object.getPrototypeOf(one)).toBe(Object.prototype);
      }),
      { numRuns },
    ),
  );
});

test("lines nested ever deeper, and numbers ever longer, are refused or read in time", async () => {
  await withDatabases(1, async (db) => {
    const deep = `{"collection":"things","value":{"id":"a","value":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`;
    const long = `{"collection":"things","value":{"id":"a","value":{"$bigint":"${"7".repeat(200_000)}"}}}`;
    const before = performance.now();
    for (const line of [deep, long]) await imported(db, text([line]), { format: "ndjson" });
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

test("a cursor of any text goes on where it says, or is refused", async () => {
  await withDatabases(1, async (db) => {
    const things = db.collection("things");
    await things.putMany(Array.from({ length: 9 }, (_, i) => ({ id: `t${i}`, n: i % 3 })));
    const queries = [
      things.where(),
      things.where("n").aboveOrEqual(1),
      things.where().reverse(),
      things.where().limit(5),
    ];
    const pages = await Promise.all(queries.map((q) => q.page(2)));
    const cursors = fc.constantFrom(...pages.map(({ cursor }) => cursor!));
    const mutated = mutantsOf(cursors.map((c) => new TextEncoder().encode(c))).map((b) =>
      new TextDecoder("latin1").decode(b),
    );
    const any = fc.oneof(
      cursors,
      mutated,
      mutated,
      fc.string(),
      fc.constantFrom<unknown>(null, 5, {}, "a.", "a9007199254740993.AAAA"),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(queries.length - 1), any, async (i, cursor) => {
        try {
          const { items } = await queries[i]!.page(3, cursor as string);
          expect(items.length).toBeLessThanOrEqual(3);
        } catch (e) {
          if (!isTidemarkError(e, "OPTIONS_INVALID")) throw e;
        }
      }),
      { numRuns: 4 * numRuns },
    );
  });
});
