import { describe, expect, test } from "vitest";
import { maxFrameBytes } from "./client/transfer/frames.ts";
import type { ExportOptions, ImportOptions } from "./index.ts";
import { bytesOf, streamOf, textOf, withDatabases, type World } from "./transfer.test-support.ts";

const lines = (...all: unknown[]): string => all.map((one) => `${JSON.stringify(one)}\n`).join("");
const things = { format: "ndjson", collection: "things" } as const;

describe("an export", () => {
  test("[MV2] is of the state when it was called for, whatever is written while it is read", () =>
    withDatabases(1, async (db) => {
      await db
        .collection("things")
        .putMany(Array.from({ length: 3000 }, (_, i) => ({ id: `t${i}`, value: "x".repeat(500) })));
      const stream = db.export(things);
      await db.collection("things").clear();
      await db.collection("things").put({ id: "later" });
      const found = (await textOf(stream)).trimEnd().split("\n");
      expect(found).toHaveLength(3000);
      expect(found.join("")).not.toContain("later");
    }));

  test("is made as it is read, a small piece at a time, and lets go of its view when it ends or is cancelled", () =>
    withDatabases(1, async (db) => {
      const rows = db.collection("things");
      await rows.putMany(Array.from({ length: 4000 }, (_, i) => ({ id: `t${i}`, value: "x".repeat(500) })));
      const holders = async (): Promise<number> => {
        await rows.put({ id: "one more" });
        const { floor, head } = await db.gc.explain();
        return head - floor;
      };
      const reader = db.export().getReader();
      const first = await reader.read();
      expect(first.value!.length).toBeLessThan(70_000);
      let longest = 0;
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        longest = Math.max(longest, next.value.length);
      }
      expect(longest).toBeLessThan(70_000);
      await db.gc.run();
      const idle = await holders();
      const another = db.export();
      const cut = another.getReader();
      await cut.read();
      for (let i = 0; i < 20; i++) await rows.put({ id: "one more", n: i });
      await db.gc.run();
      expect(await holders()).toBeGreaterThan(idle + 10);
      await cut.cancel();
      await db.gc.run();
      expect(await holders()).toBe(idle);
      await db.export().cancel(); // never read
      await rows.put({ id: "one more", n: 5 });
      await db.gc.run();
      expect(await holders()).toBe(idle);
    }));

  test("fails with the signal's reason when that aborts, before and in the middle", () =>
    withDatabases(1, async (db) => {
      await db
        .collection("things")
        .putMany(Array.from({ length: 3000 }, (_, i) => ({ id: `t${i}`, value: "x".repeat(500) })));
      const reason = new Error("enough");
      await expect(bytesOf(db.export({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
      const controller = new AbortController();
      const reader = db.export({ signal: controller.signal }).getReader();
      await reader.read();
      controller.abort(reason);
      await expect(reader.read().then(() => reader.read())).rejects.toBe(reason);
    }));

  test.each<[ExportOptions, string]>([
    [{ format: "xml" as never }, "OPTIONS_INVALID"],
    [{ signal: {} as never }, "OPTIONS_INVALID"],
    [{ format: "csv" }, "OPTIONS_INVALID"],
    [{ columns: ["a"] }, "OPTIONS_INVALID"],
    [{ collection: "things", collections: ["things"] }, "OPTIONS_INVALID"],
    [{ colection: "things" } as never, "OPTIONS_INVALID"],
    [{ collections: ["nothing"] }, "UNKNOWN_NAME"],
    [{ collection: "__proto__" }, "UNKNOWN_NAME"],
  ])("with options %j is %s", (options, code) =>
    withDatabases(1, async (db) => {
      await expect(bytesOf(db.export(options))).rejects.toMatchObject({ code });
    }),
  );

  test("holds what was asked for, and says of lines whose they are where there are several", () =>
    withDatabases(1, async (db) => {
      await db.collection("things").put({ id: "a", value: [new Date(5), 5n, undefined, -0, new Set([1])] });
      await db.collection("places").put({ at: [1, new Date(0)] });
      const tagged =
        '{"id":"a","value":[{"$date":"1970-01-01T00:00:00.005Z"},{"$bigint":"5"},{"$undefined":true},{"$number":"-0"},{"$set":[1]}]}';
      expect(await textOf(db.export(things))).toBe(`${tagged}\n`);
      const place = '{"collection":"places","value":{"at":[1,{"$date":"1970-01-01T00:00:00.000Z"}]}}';
      expect(await textOf(db.export({ format: "ndjson" }))).toBe(
        `${place}\n{"collection":"things","value":${tagged}}\n`,
      );
      expect(await textOf(db.export({ format: "ndjson", collections: ["places"] }))).toBe(`${place}\n`);
    }));

  test("[MV6] carries blobs and files", () =>
    withDatabases(2, async (db, to) => {
      const blob = new Blob(["some text"], { type: "text/plain" });
      const file = new File([Uint8Array.of(1, 2, 3)], "a.bin", { type: "x/y", lastModified: 77 });
      await db.collection("things").put({ id: "a", value: { blob, list: [file] } });
      for (const format of ["tidemark", "ndjson"] as const) {
        await to.collection("things").clear();
        await to.import(streamOf(await bytesOf(db.export({ format }))), { format });
        const { value } = (await to.collection("things").get("a")) as { value: { blob: Blob; list: [File] } };
        expect([await value.blob.text(), value.blob.type]).toEqual(["some text", "text/plain"]);
        const [found] = value.list;
        expect([found.name, found.lastModified, [...new Uint8Array(await found.arrayBuffer())]]).toEqual([
          "a.bin",
          77,
          [1, 2, 3],
        ]);
      }
    }));
});

describe("an import", () => {
  const read = (db: World): Promise<unknown[]> => db.collection("things").all();

  test("replaces, skips or refuses records whose key is taken", () =>
    withDatabases(1, async (db) => {
      const stream = (): ReadableStream<Uint8Array> =>
        streamOf(lines({ id: "a", n: 1 }, { id: "b", n: 1 }, { id: "b", n: 2 }));
      await db.collection("things").put({ id: "a", n: 0 });
      const skipped = await db.import(stream(), { ...things, onConflict: "skip" });
      expect(skipped).toEqual({ records: 1, skipped: 2, position: 3, collections: { things: 1 } });
      expect(await read(db)).toEqual([
        { id: "a", n: 0 },
        { id: "b", n: 1 },
      ]);
      const refused = db.import(stream(), { ...things, onConflict: "fail" });
      await expect(refused).rejects.toMatchObject({ code: "CONSTRAINT", details: { line: 3, resumeAfter: 0 } });
      expect(await db.import(stream(), things)).toMatchObject({ records: 3, skipped: 0 });
      expect(await read(db)).toEqual([
        { id: "a", n: 1 },
        { id: "b", n: 2 },
      ]);
    }));

  test("map changes records or passes them over, and collections chooses", () =>
    withDatabases(2, async (from, db) => {
      await from.collection("things").putMany([
        { id: "a", n: 1 },
        { id: "b", n: 2 },
      ]);
      await from.collection("places").put({ at: [1, new Date(0)] });
      const map = (record: unknown, collection: string): object | undefined => {
        const { id, n } = record as { id: string; n: number };
        return collection === "things" && n > 1 ? { id: `${id}!`, n } : undefined;
      };
      expect(await db.import(from.export(), { map })).toMatchObject({ records: 1, skipped: 2 });
      expect(await read(db)).toEqual([{ id: "b!", n: 2 }]);
      expect(await db.import(from.export(), { collections: ["places"] })).toMatchObject({ records: 1, skipped: 2 });
      expect(await db.collection("places").count()).toBe(1);
    }));

  test.each<[string, string, object]>([
    ["no JSON", `{"id":"a"}\n\n{"id":\n`, { code: "VALIDATION", details: { line: 3, resumeAfter: 1 } }],
    ["an unfinished last line", `{"id":"a"}\n{"id":"b"`, { code: "VALIDATION", details: { line: 2, resumeAfter: 1 } }],
    [
      "a malformed date",
      `{"id":"a"}\n{"id":"b","value":{"$date":"soon"}}`,
      { code: "VALIDATION", details: { line: 2 } },
    ],
    [
      "malformed bytes",
      `{"id":"b","value":{"$bytes":["Uint8Array","?"]}}`,
      { code: "VALIDATION", details: { line: 1 } },
    ],
    ["half an element", `{"id":"b","value":{"$bytes":["Float64Array","AAAA"]}}`, { code: "VALIDATION" }],
    ["an unknown type", `{"id":"b","value":{"$bytes":["Function","AAAA"]}}`, { code: "VALIDATION" }],
    ["what is encoded wrongly", `{"id":"b","value":{"$encoded":"AAAA"}}`, { code: "VALIDATION", details: { line: 1 } }],
    [
      "too deep",
      `{"id":"b","value":${"[".repeat(5000)}${"]".repeat(5000)}}`,
      { code: "VALIDATION", details: { line: 1 } },
    ],
    [
      "a record without its key",
      `{"id":"a"}\n{"n":5}\n`,
      { code: "KEY_INVALID", details: { line: 2, resumeAfter: 0 } },
    ],
    ["what is no record", `{"id":"a"}\n5\n`, { code: "VALUE_UNSUPPORTED", details: { line: 2, resumeAfter: 0 } }],
  ])("of lines with %s names the line", (_, text, failure) =>
    withDatabases(1, async (db) => {
      for (const lengths of [[1], [7, 3], [9999]]) {
        await expect(db.import(streamOf(text, lengths), things)).rejects.toMatchObject(failure);
      }
    }),
  );

  test("of lines with __proto__ and names like tags makes plain records of them", () =>
    withDatabases(1, async (db) => {
      const text = `{"id":"a","value":{"__proto__":{"polluted":1},"$ref":"#/x","constructor":{"prototype":{"polluted":1}}}}\n`;
      await db.import(streamOf(text), things);
      const { value } = (await db.collection("things").get("a"))!;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(Object.keys(value as object)).toEqual(["__proto__", "$ref", "constructor"]);
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    }));

  test("of another format, or of collections that are not declared, is refused before anything is written", () =>
    withDatabases(2, async (from, db) => {
      await from.collection("things").put({ id: "a" });
      const wrong = [
        [streamOf(lines({ collection: "things", value: { id: "a" } })), {}, "FORMAT_UNSUPPORTED"],
        [streamOf(""), {}, "FORMAT_UNSUPPORTED"],
        [from.export(), { format: "ndjson" }, "VALIDATION"],
        [streamOf(lines({ id: "a" })), { format: "ndjson" }, "VALIDATION"],
        [streamOf(lines({ collection: "nobody", value: { id: "a" } })), { format: "ndjson" }, "UNKNOWN_NAME"],
        [streamOf(lines({ id: "a" })), { ...things, collection: "nobody" }, "UNKNOWN_NAME"],
        [streamOf(lines({ id: "a" })), { ...things, collection: "__proto__" }, "UNKNOWN_NAME"],
        [streamOf(lines({ collection: "constructor", value: {} })), { format: "ndjson" }, "UNKNOWN_NAME"],
        [streamOf("id\na"), { format: "csv" }, "OPTIONS_INVALID"],
        [from.export(), { collection: "things" }, "OPTIONS_INVALID"],
        [from.export(), { batchBytes: 5 }, "OPTIONS_INVALID"],
        [from.export(), { resumeAfter: 2 }, "OPTIONS_INVALID"],
        [[1, 2] as never, {}, "OPTIONS_INVALID"],
        [new ReadableStream({ start: (c) => c.enqueue("text") }), things, "OPTIONS_INVALID"],
      ] as const;
      for (const [stream, options, code] of wrong) {
        await expect(db.import(stream, options as ImportOptions)).rejects.toMatchObject({
          code,
        });
      }
      const newer = await bytesOf(from.export());
      newer[8] = 2;
      await expect(db.import(streamOf(newer))).rejects.toMatchObject({
        code: "FORMAT_UNSUPPORTED",
        details: { found: 2, supported: 1 },
      });
      expect(await read(db)).toEqual([]);
    }));

  test("[MV8] of damage says at which byte it lies, and lengths that lie take no memory", () =>
    withDatabases(2, async (from, db) => {
      await from
        .collection("things")
        .putMany(Array.from({ length: 400 }, (_, i) => ({ id: `t${i}`, value: "x".repeat(500) })));
      const bytes = await bytesOf(from.export({ collections: ["things"] }));
      const hurt = bytes.slice();
      hurt[hurt.length - 30_000]! ^= 1;
      const failure = await db.import(streamOf(hurt)).then(
        () => undefined,
        (e: unknown) => e as { details: { offset: number; resumeAfter: number } },
      );
      expect(failure).toMatchObject({ code: "CORRUPT", details: { what: "export" } });
      expect(failure!.details.offset).toBeGreaterThan(60_000);
      expect(failure!.details.offset).toBeLessThan(hurt.length - 30_000);
      expect(await db.collection("things").count()).toBe(failure!.details.resumeAfter);
      expect(failure!.details.resumeAfter).toBeGreaterThan(100);
      const lying = (length: number[]): Uint8Array =>
        Uint8Array.from([...bytes.subarray(0, 12), 2, ...length, 1, 2, 3]);
      const before = process.memoryUsage().arrayBuffers;
      for (const length of [
        [0xff, 0xff, 0xff, 0x7f],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
      ]) {
        await expect(db.import(streamOf(lying(length)))).rejects.toMatchObject({
          code: "CORRUPT",
          details: { offset: 12 },
        });
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(maxFrameBytes / 4);
    }));

  test("passes on what its stream, its map or its progress throws, says where it stood, and lets go of the stream", () =>
    withDatabases(1, async (db) => {
      const gone = new TypeError("network error");
      let pulls = 0;
      const broken = new ReadableStream<Uint8Array>({
        pull: (c) =>
          ++pulls === 1 ? c.enqueue(new TextEncoder().encode(lines({ id: "a" }, { id: "b" }))) : c.error(gone),
      });
      await expect(db.import(broken, things)).rejects.toBe(gone);
      expect(gone).toMatchObject({ details: { resumeAfter: 2 } });
      let cancelled: unknown;
      const endless = new ReadableStream<Uint8Array>({
        pull: (c) => c.enqueue(new TextEncoder().encode(lines({ id: "x" }))),
        cancel: (reason) => void (cancelled = reason),
      });
      const controller = new AbortController();
      const reason = Object.freeze({ why: "stopped" });
      const progress = (): void => controller.abort(reason);
      const options = { ...things, batchBytes: 1024, progress, signal: controller.signal };
      await expect(db.import(endless, options)).rejects.toMatchObject({
        cause: reason,
        details: { resumeAfter: expect.any(Number) as number },
      });
      expect(cancelled).toBeDefined();
      const map = (): never => {
        throw new RangeError("no");
      };
      await expect(db.import(streamOf(lines({ id: "a" })), { ...things, map })).rejects.toBeInstanceOf(RangeError);
    }));

  test("hands on what came in one chunk bit by bit, in order, blank lines and all", () =>
    withDatabases(1, async (db) => {
      const text = Array.from({ length: 5000 }, (_, i) => `{"id":"t${i}","n":${i}}\r\n\n`).join("");
      let n = 0;
      const map = (record: unknown): object => {
        expect(record).toEqual({ id: `t${n}`, n: n++ });
        return record as object;
      };
      expect(await db.import(streamOf(text, [text.length]), { ...things, map })).toMatchObject({ records: 5000 });
      await expect(db.import(streamOf(`${text}x`, [text.length + 1]), things)).rejects.toMatchObject({
        details: { line: 10_001, resumeAfter: 5000 },
      });
    }));

  test("under one signal each of two says where it stood itself", () =>
    withDatabases(2, async (a, b) => {
      const controller = new AbortController();
      const endless = (): ReadableStream<Uint8Array> =>
        new ReadableStream({
          pull: (c) => c.enqueue(new TextEncoder().encode(lines({ id: `${Math.random()}`, value: "x".repeat(300) }))),
        });
      let n = 0;
      const options = {
        ...things,
        batchBytes: 1024,
        signal: controller.signal,
        progress: () => void (++n > 9 && controller.abort()),
      };
      const ends = await Promise.allSettled([
        a.import(endless(), options),
        b.import(endless(), { ...options, batchBytes: 4096 }),
      ]);
      const positions = ends.map((end) =>
        end.status === "rejected" ? (end.reason as { details: { resumeAfter: number } }).details.resumeAfter : -1,
      );
      expect(positions).toEqual([await a.collection("things").count(), await b.collection("things").count()]);
      expect(positions[0]).not.toBe(positions[1]);
    }));
});
