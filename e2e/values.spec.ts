import { expect, type Page, test } from "@playwright/test";
import { openPage, openTab } from "./lab.ts";

declare global {
  /** The values under test by name. Each is kept as a record's `value`. */
  var samples: () => Record<string, unknown>;
  /** Says everything about a value, so that two values are alike when it says the same of them. */
  var portray: (value: unknown) => Promise<string>;
}

/** Playwright's own transport loses much of these values, so pages make and compare them and only words leave. */
const prepare = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const bytes = (n: number): ArrayBuffer => Uint8Array.from({ length: n }, (_, i) => i * 37).buffer;
    const holes: unknown[] = [1];
    holes[3] = undefined;
    const shared = { once: 1 };
    globalThis.samples = () => ({
      plain: { s: "ü\u0000𝄞", n: 1.5, big: 1e300, list: [true, false, null, [], {}], empty: "" },
      loneSurrogates: ["\ud800", "a\udc00b", "\udfff\ud800"],
      undefined: { present: undefined, list: [undefined, 1] },
      bare: undefined,
      zeroes: [-0, 0, { z: -0 }],
      notNumbers: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      bigints: [0n, -1n, 2n ** 80n, -(2n ** 64n)],
      dates: [new Date(0), new Date(-1), new Date("2024-02-29T12:34:56.789Z"), new Date(Number.NaN)],
      regexps: [/a[/]b/giu, new RegExp("", "y")],
      map: new Map<unknown, unknown>([
        ["k", 1],
        [{ key: new Date(5) }, new Map([[-0, undefined]])],
        [Number.NaN, [new Set(["x"])]],
      ]),
      set: new Set<unknown>([1, "1", null, undefined, new Date(1), new Set([2n])]),
      holes,
      shared: [shared, shared],
      buffer: bytes(300),
      views: [
        new Uint8Array(bytes(5)),
        new Uint8Array(bytes(16), 3, 7),
        new Int16Array(bytes(8)),
        new Uint8ClampedArray([1, 300]),
        new Float32Array([1.5, -0, Number.NaN]),
        new Float64Array([Math.PI]),
        new BigInt64Array([-5n, 7n]),
        new BigUint64Array([2n ** 63n]),
        new DataView(bytes(12), 2, 6),
      ],
      odd: JSON.parse('{"__proto__":{"a":1},"toJSON":1,"constructor":null,"$t":[0],"":{"":[]}}') as unknown,
      blob: new Blob(["hello ", new Uint8Array([0, 255, 128])], { type: "text/x-lab" }),
      file: { in: [new File(["content"], "näme.txt", { type: "text/plain", lastModified: 86_400_000 })] },
      emptyBlob: new Blob([]),
      bigBlob: new Blob([bytes(300_000)]),
      long: "0123456789".repeat(30_000),
    });

    const hex = (b: Uint8Array): string => `${b.length}:${[...b].map((x) => x.toString(16)).join(",")}`;
    const all = async (values: Iterable<unknown>): Promise<string> => {
      const said: string[] = [];
      for (const v of values) said.push(await portray(v));
      return said.join(" ");
    };
    const object = async (v: object): Promise<string> => {
      const tag = Object.prototype.toString.call(v).slice(8, -1);
      if (v instanceof Date) return `Date ${v.getTime()}`;
      if (v instanceof RegExp) return `RegExp ${v.source} ${v.flags}`;
      if (v instanceof Map) return `Map { ${await all([...v].flat())} }`;
      if (v instanceof Set) return `Set { ${await all(v)} }`;
      if (v instanceof ArrayBuffer) return `ArrayBuffer ${hex(new Uint8Array(v))}`;
      if (ArrayBuffer.isView(v)) return `${tag} ${hex(new Uint8Array(v.buffer, v.byteOffset, v.byteLength))}`;
      if (v instanceof Blob) {
        const named = v instanceof File ? `${v.name} ${v.lastModified}` : "";
        return `${tag} ${named} ${v.type} ${hex(new Uint8Array(await v.arrayBuffer()))}`;
      }
      const names = Object.keys(v);
      const length = Array.isArray(v) ? v.length : "";
      const fields = await all(names.map((n) => (v as Record<string, unknown>)[n]));
      return `${tag} ${Object.getPrototypeOf(v) === Object.prototype} ${length} ${JSON.stringify(names)} { ${fields} }`;
    };
    globalThis.portray = async (v) => {
      if (typeof v === "object" && v !== null) return object(v);
      if (typeof v === "string") return `string ${JSON.stringify(v)}`;
      return Object.is(v, -0) ? "number -0" : `${typeof v} ${String(v)}`;
    };
  });

const expected = (page: Page): Promise<Record<string, string>> =>
  page.evaluate(async () => {
    const said: Record<string, string> = {};
    for (const [name, value] of Object.entries(samples())) said[name] = await portray(value);
    return said;
  });

const found = (page: Page): Promise<Record<string, string>> =>
  page.evaluate(async () => {
    const said: Record<string, string> = {};
    const names = Object.keys(samples());
    const view = await lab.db.readView({ fresh: true });
    const records = await view.collection("items").getMany(names);
    view.release();
    for (const [i, record] of records.entries()) said[names[i]!] = await portray(record?.value);
    return said;
  });

test("[MV6] every kind of value comes back as it was: here, in another tab, from blocks and after a reload", async ({
  context,
}) => {
  const [a, b] = [await openTab(context), await openTab(context)];
  for (const page of [a, b]) await prepare(page);
  const said = await expected(a);
  await a.evaluate(async () => {
    for (const [id, value] of Object.entries(samples())) await lab.items.put({ id, value });
  });
  expect(await found(a)).toEqual(said);
  expect(await found(b)).toEqual(said);
  await b.evaluate(() => lab.db.checkpoint());
  expect(await found(b)).toEqual(said);
  await a.close();
  await b.close();
  const again = await openPage(context);
  await prepare(again);
  expect(await found(again)).toEqual(said);
});

test("[MV6] values are taken as they are at the call, blobs included, and calls keep their order", async ({
  context,
}) => {
  const page = await openPage(context);
  const read = await page.evaluate(async () => {
    const list = [1, 2];
    const bytes = new Uint8Array([1, 2, 3]);
    const early = { id: "early", value: { list, bytes } };
    const calls = [
      lab.items.put(early), // before the database is open
      lab.items.put({ id: "order", value: new Blob(["first"]) }),
      lab.items.put({ id: "order", value: "second" }),
    ];
    list.push(3);
    bytes.fill(9);
    early.id = "changed";
    await Promise.all(calls);
    const late = { id: "late", value: { list, bytes } };
    const put = lab.items.put(late);
    list.push(4);
    bytes.fill(0);
    await put;
    const records = await lab.items.getMany(["early", "late", "order"]);
    const told = records.map((r) => {
      const value = r?.value as string | { list: number[]; bytes: Uint8Array };
      return [r?.id, ...(typeof value === "string" ? [value] : [value.list, [...value.bytes]])];
    });
    return JSON.stringify([list, bytes.length, ...told]);
  });
  expect(JSON.parse(read)).toEqual([
    [1, 2, 3, 4],
    3,
    ["early", [1, 2], [1, 2, 3]],
    ["late", [1, 2, 3], [9, 9, 9]],
    ["order", "second"],
  ]);
});
