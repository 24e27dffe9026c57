import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { ByteSource } from "./client/transfer/byte-source.ts";
import { readNative } from "./client/transfer/native.ts";
import { isTidemarkError } from "./index.ts";
import {
  anyThings,
  anyValue,
  bytesOf,
  streamOf,
  type Thing,
  withDatabases,
  type World,
} from "./transfer.test-support.ts";

vi.setConfig({ testTimeout: 60_000 });

const contentOf = async (db: World): Promise<unknown> => [
  await db.collection("things").all(),
  await db.collection("places").all(),
];
const refusals = /^(CORRUPT|FORMAT_UNSUPPORTED)$/;
const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (e: unknown) => e,
  );
const chunking = fc.oneof(fc.constant([1]), fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }));

describe.each(["tidemark", "ndjson"] as const)("%s", (format) => {
  test("[MV6] what is exported and imported again is the same, in chunks of any length and batches of any size", () =>
    fc.assert(
      fc.asyncProperty(
        anyThings,
        anyValue,
        chunking,
        fc.constantFrom(1024, 65_536),
        async (all, value, lengths, size) =>
          withDatabases(2, async (from, to) => {
            await from.collection("things").putMany(all);
            await from.collection("places").put({ at: [1, new Date(5)], value });
            const bytes = await bytesOf(from.export({ format }));
            const report = await to.import(streamOf(bytes, lengths), { format, batchBytes: size });
            expect(report).toMatchObject({ records: all.length + 1, skipped: 0, position: all.length + 1 });
            const [before, after] = [await contentOf(from), await contentOf(to)];
            if (!isDeepStrictEqual(after, before)) expect(after).toStrictEqual(before);
            expect(await bytesOf(to.export({ format: "ndjson" }))).toEqual(
              await bytesOf(from.export({ format: "ndjson" })),
            );
          }),
      ),
      { numRuns: 150 },
    ));
});

describe("any byte of an export that is changed", () => {
  const all: Thing[] = Array.from({ length: 40 }, (_, i) => ({ id: `t${i}`, n: i, value: new Date(i) }));
  const exported = async (): Promise<Uint8Array> => {
    let bytes = new Uint8Array();
    await withDatabases(1, async (from) => {
      await from.collection("things").putMany(all);
      bytes = (await bytesOf(from.export())).slice();
    });
    return bytes;
  };
  const changed = (bytes: Uint8Array, at: number, bit: number): Uint8Array =>
    bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));

  test("[MV8] is noticed, whichever bit of it", async () => {
    const bytes = await exported();
    const listener = { begun: () => undefined, ended: () => undefined };
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const source = new ByteSource(streamOf(changed(bytes, at, bit)), undefined);
        const failure = await failureOf(
          (async () => {
            for await (const records of readNative(source, listener)) for (const one of records) one.value();
          })(),
        );
        expect(isTidemarkError(failure) && failure.code, `byte ${at}, bit ${bit}`).toMatch(refusals);
      }
    }
  });

  test("[MV8] ends an import, and what was written before it is whole", async () => {
    const bytes = await exported();
    const known = new Map(all.map((one) => [one.id, one]));
    for (let at = 0; at < bytes.length; at += 23) {
      await withDatabases(1, async (to) => {
        const failure = await failureOf(to.import(streamOf(changed(bytes, at, at % 8), [1000]), { batchBytes: 1024 }));
        expect(isTidemarkError(failure) && failure.code, `byte ${at}`).toMatch(refusals);
        const written = await to.collection("things").all();
        expect(failure).toMatchObject({ details: { resumeAfter: written.length } });
        expect(written).toEqual(written.map(({ id }) => known.get(id)));
      });
    }
  });
});

test("[MV8] an export that ends early is noticed wherever it ends, and is gone on with", () =>
  withDatabases(1, async (from) => {
    await from
      .collection("things")
      .putMany(Array.from({ length: 60 }, (_, i) => ({ id: `t${i}`, value: "x".repeat(3000) })));
    await from.collection("places").put({ at: [0, new Date(0)] });
    const bytes = await bytesOf(from.export());
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), chunking, async (length, lengths) =>
        withDatabases(1, async (to) => {
          const failure = await to
            .import(streamOf(bytes.subarray(0, length), [...lengths, 5000]), { batchBytes: 8192 })
            .then(
              () => undefined,
              (e: unknown) => e,
            );
          if (!isTidemarkError(failure)) expect.unreachable(`it ends with ${String(failure)}`);
          expect(failure.code).toMatch(refusals);
          const resumeAfter = failure.details["resumeAfter"] as number;
          const done = await to.import(streamOf(bytes), { resumeAfter, onConflict: "fail" });
          expect([done.records, done.position]).toEqual([61 - resumeAfter, 61]);
          expect(await contentOf(to)).toEqual(await contentOf(from));
        }),
      ),
      { numRuns: 60 },
    );
  }));

test("[MV11] an import that is aborted anywhere and gone on with writes every record once", () =>
  withDatabases(1, async (from) => {
    const all = Array.from({ length: 300 }, (_, i) => ({ id: `t${String(i).padStart(3, "0")}`, value: "y".repeat(i) }));
    await from.collection("things").putMany(all);
    for (const format of ["tidemark", "ndjson"] as const) {
      const bytes = await bytesOf(from.export({ format }));
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3000 }), async (batches, length) =>
          withDatabases(1, async (to) => {
            const controller = new AbortController();
            let n = 0;
            const options = { format, batchBytes: 1024, onConflict: "fail" as const };
            const progress = (): void => void (++n === batches && controller.abort());
            let resumeAfter = 0;
            try {
              await to.import(streamOf(bytes, [length]), { ...options, progress, signal: controller.signal });
              expect(n).toBeLessThan(batches + 2);
            } catch (e) {
              expect(e).toMatchObject({ name: "AbortError" });
              ({ resumeAfter } = (e as { details: { resumeAfter: number } }).details);
              expect(await to.collection("things").count()).toBe(resumeAfter);
              const rest = await to.import(streamOf(bytes, [length]), { ...options, resumeAfter });
              expect(rest).toMatchObject({ records: 300 - resumeAfter, position: 300 });
            }
            expect(await to.collection("things").all()).toEqual(all);
          }),
        ),
        { numRuns: 40 },
      );
    }
  }));
