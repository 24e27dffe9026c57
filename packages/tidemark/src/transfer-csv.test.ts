import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { streamOf, textOf, withDatabases } from "./transfer.test-support.ts";

const csv = { format: "csv", collection: "things" } as const;

describe("csv", () => {
  test("names the fields of the first records, and writes values as text", () =>
    withDatabases(1, async (db) => {
      await db.collection("things").putMany([
        { id: "a", n: 1.5 },
        { id: "b", value: 'say "hi", twice\nor more' },
        { id: "c", value: new Date(0) },
        { id: "d", value: { deep: [5n] } },
        { id: "e", value: null },
        { id: "f", value: true },
      ]);
      expect(await textOf(db.export(csv))).toBe(
        [
          "id,n,value",
          "a,1.5,",
          'b,,"say ""hi"", twice\nor more"',
          "c,,1970-01-01T00:00:00.000Z",
          'd,,"{""deep"":[{""$bigint"":""5""}]}"',
          "e,,",
          "f,,true",
          "",
        ].join("\r\n"),
      );
      expect(await textOf(db.export({ ...csv, columns: ["n", "id"] }))).toMatch(/^n,id\r\n1.5,a\r\n,b\r\n/);
    }));

  test("a field that only a later record has is refused rather than lost", () =>
    withDatabases(1, async (db) => {
      await db
        .collection("things")
        .putMany(Array.from({ length: 3000 }, (_, i) => ({ id: `t${i + 1000}`, n: 1, pad: "x".repeat(200) })));
      await db.collection("things").put({ id: "z", value: "late" });
      await expect(textOf(db.export(csv))).rejects.toMatchObject({ code: "VALIDATION", details: { field: "value" } });
      expect(await textOf(db.export({ ...csv, columns: ["id", "value"] }))).toMatch(/\r\nz,late\r\n$/);
    }));

  test("any text comes back as it was, in chunks of any length", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            a: fc.string({ unit: fc.constantFrom('"', ",", "\n", "\r", "x", " ", "é", "😀") }),
            b: fc.string(),
          }),
          {
            minLength: 1,
            maxLength: 6,
          },
        ),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
        (all, lengths) =>
          withDatabases(2, async (from, to) => {
            const records = all.map((one, i) => ({ id: `${i}`, ...one }));
            await from.collection("things").putMany(records);
            const text = await textOf(from.export(csv));
            expect(await to.import(streamOf(text, lengths), csv)).toMatchObject({ records: all.length });
            expect(await to.collection("things").all()).toEqual(await from.collection("things").all());
          }),
      ),
      { numRuns: 100 },
    ));

  test("map makes records of the text; blank lines and a missing last line end are no matter", () =>
    withDatabases(1, async (db) => {
      const map = (row: unknown): object => {
        const { id, n } = row as { id: string; n: string };
        return { id, n: Number(n) };
      };
      const text = '\ufeffid,n\n\na,1\r\n"b",2\n\nc,"3"';
      expect(await db.import(streamOf(text, [1]), { ...csv, map })).toMatchObject({ records: 3 });
      expect(await db.collection("things").all()).toEqual([
        { id: "a", n: 1 },
        { id: "b", n: 2 },
        { id: "c", n: 3 },
      ]);
    }));

  test.each([
    ["too few values", "id,n\na,1\nb\n", 3, 1],
    ["too many values", 'id,n\n"a\nb",1\nb,2,3\n', 4, 1],
    ["a quoted value without end", 'id,n\na,1\nb,"2\n\n', 3, 1],
    ["something behind a quote", 'id,n\na,"1"2\n', 2, 0],
    ["a quote within", 'id,n\na,1"2\n', 2, 0],
    ["a carriage return within", "id,n\na\rb,1\n", 2, 0],
    ["a field named twice", "id,id\na,1\n", 1, 0],
  ])("%s is VALIDATION naming the line; what is before it is written", (_, text, line, resumeAfter) =>
    withDatabases(1, async (db) => {
      for (const lengths of [[1], [5], [999]]) {
        await expect(db.import(streamOf(text, lengths), csv)).rejects.toMatchObject({
          code: "VALIDATION",
          details: { line, resumeAfter },
        });
      }
      expect(await db.collection("things").count()).toBe(resumeAfter);
    }),
  );

  test("what is not UTF-8 is refused", () =>
    withDatabases(1, async (db) => {
      const bytes = Uint8Array.from([0x69, 0x64, 0x0a, 0x61, 0x0a, 0xff]);
      await expect(db.import(streamOf(bytes), csv)).rejects.toMatchObject({ code: "VALIDATION", details: { line: 3 } });
    }));
});
