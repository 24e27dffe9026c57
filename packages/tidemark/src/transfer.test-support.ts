/** Streams of bytes in any chunks, and records with values of every kind. */
import fc from "fast-check";
import { collection, type Database, openDatabase } from "./index.ts";

export interface Thing {
  id: string;
  n?: number;
  value?: unknown;
}
const things = collection<Thing>()({ key: "id", indexes: { n: "n" } });
const places = collection<{ at: readonly [number, Date]; value?: unknown }>()({ key: "at" });
export const declarations = { things, places };
export type World = Database<typeof declarations>;

let made = 0;
export async function withDatabases(count: number, body: (...dbs: World[]) => Promise<void>): Promise<void> {
  const names = Array.from({ length: count }, () => `transfer-${made++}`);
  const dbs = await Promise.all(
    names.map((name) => openDatabase({ name, storage: "memory", worker: false, collections: declarations })),
  );
  try {
    await body(...dbs);
  } finally {
    await Promise.all(dbs.map((db) => db.close()));
  }
}

export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

export const textOf = async (stream: ReadableStream<Uint8Array>): Promise<string> =>
  new TextDecoder().decode(await bytesOf(stream));

/** A stream of these bytes, in chunks of the lengths given, over and over. */
export function streamOf(
  content: Uint8Array | string,
  lengths: readonly number[] = [65_536],
): ReadableStream<Uint8Array> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  let at = 0;
  let i = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close();
      const length = lengths[i++ % lengths.length]!;
      controller.enqueue(bytes.subarray(at, at + length));
      at += length;
    },
  });
}

const name = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom("__proto__", "$date", "$$x", "$", "$encoded", "collection", "value", "\ud800", "toJSON"),
);
const view = fc
  .uint8Array({ maxLength: 24 })
  .chain((bytes) =>
    fc.constantFrom<unknown>(
      bytes.slice(),
      bytes.slice().buffer,
      new Float64Array(bytes.slice(0, bytes.length & ~7).buffer),
      new DataView(bytes.slice().buffer),
      new Uint16Array(bytes.slice(0, bytes.length & ~1).buffer),
    ),
  );
const leaf = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom<unknown>(undefined, null, true, false, NaN, Infinity, -Infinity, -0, 0, "\ud83d", "$date"),
  fc.double(),
  fc.bigInt(),
  fc.date(),
  fc.constantFrom(/a"\n/giu, /[$]/),
  view,
);

/** What structured clone carries, without blobs, whose equality takes time to tell. */
export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie("object"), tie("list"), tie("sparse"), tie("map"), tie("set")),
  object: fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  list: fc.array(tie("value"), { maxLength: 4 }),
  sparse: fc.array(tie("value"), { maxLength: 2 }).map((elements) => {
    const list: unknown[] = [...elements];
    list.length += 2;
    return list;
  }),
  map: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((elements) => new Set(elements)),
})).value;

export const anyThings: fc.Arbitrary<Thing[]> = fc
  .array(fc.record({ value: anyValue, n: fc.integer() }), { maxLength: 12 })
  .map((all) => all.map((one, i) => ({ id: `t${i}`, ...one })));
