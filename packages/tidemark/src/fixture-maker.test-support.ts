/**
 * Makes a fixture of the storage format as it is now. Run it once, before the format changes, and keep the file:
 *
 *     node packages/tidemark/src/fixture-maker.test-support.ts 1      writes packages/tidemark/fixtures/format-1.json
 *
 * Its story, with time and chance of its own, so that it can be told again: two tabs, records of every kind of key and
 * value, changes and deletions, checkpoints while an old view is open, and then commits that stay in the log. The dump
 * is taken in the middle of it, as a killed browser leaves a database: with the pins of both tabs.
 */
import { indexedDB } from "fake-indexeddb";
import { writeFile } from "node:fs/promises";
import { argv } from "node:process";
import { collection } from "./client/declare.ts";
import type { AnyDeclaration } from "./client/types.ts";
import { type Described, described, dump, type ExpectedCollection, type Fixture } from "./fixture.test-support.ts";
import { Life } from "./fixture-tabs.test-support.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import { randomFrom } from "./testing/random.ts";

interface Person {
  readonly id: string;
  readonly name: string;
  readonly email?: string;
  readonly age?: number;
  readonly address: { readonly city: string };
  readonly tags: readonly string[];
  readonly nick?: string | boolean | null;
}
interface Reading {
  readonly sensor: number;
  readonly at: Date;
  readonly value: number;
  readonly span?: readonly (number | string)[];
}
interface Day {
  readonly day: Date;
  readonly title: string;
  readonly guests: readonly Date[];
}
interface Chunk {
  readonly hash: Uint8Array<ArrayBuffer>;
  readonly parent?: ArrayBuffer;
  readonly size: number;
  readonly body: string;
}
interface Sample {
  readonly id: number | string | Date | readonly (number | string)[];
  readonly value: unknown;
}

const name = "fixture";
const collections = {
  people: collection<Person>()({
    key: "id",
    indexes: {
      age: "age",
      nick: "nick",
      email: { path: "email", unique: true },
      tags: { path: "tags", multi: true },
      byCityAge: ["address.city", "age"],
    },
  }),
  readings: collection<Reading>()({
    key: ["sensor", "at"],
    indexes: { at: "at", value: "value", bySensorValue: ["sensor", "value"], span: "span" },
  }),
  days: collection<Day>()({
    key: "day",
    indexes: { title: { path: "title", unique: true }, guests: { path: "guests", multi: true } },
  }),
  chunks: collection<Chunk>()({ key: "hash", indexes: { parent: "parent", size: "size" } }),
  samples: collection<Sample>()({ key: "id" }),
  empty: collection<{ id: string; n: number }>()({ key: "id", indexes: { n: "n" } }),
};
type Name = keyof typeof collections;
type Fields = Readonly<Record<string, unknown>>;

const random = randomFrom(20);
const below = (n: number): number => Math.floor(random() * n);
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;

const cities = ["Aachen", "Århus", "Bergen", "Çanakkale", "札幌", "𝄞-Stadt"];
const tags = ["tide", "ebb", "flood", "neap", "spring", "slack"];
const start = Date.UTC(2024, 0, 31, 12);
const hour = 3_600_000;

function person(n: number): Person {
  return {
    id: `p${String((n * 7919) % 1000).padStart(3, "0")}`,
    name: `Person ${n}`,
    address: { city: oneOf(cities) },
    tags: tags.filter(() => random() < 0.3),
    ...(n % 5 === 0 ? {} : { age: below(60) + (n % 7 === 0 ? 0.5 : 0) }),
    ...(n % 3 === 0 ? {} : { email: `${n}@example.org` }),
    ...(n % 4 === 0 ? { nick: oneOf([null, true, false, `n${below(20)}`]) } : {}),
  };
}
const reading = (n: number): Reading => ({
  sensor: (n % 8) - 3,
  at: new Date(start + (n >> 3) * hour),
  value: Math.round(random() * 2000 - 1000) / 8,
  ...(n % 6 === 0 ? { span: [below(3), oneOf(tags)] } : {}),
});
const day = (n: number): Day => ({
  day: new Date(start + (n - 20) * 24 * hour),
  title: `Day ${n}`,
  guests: Array.from({ length: n % 4 }, () => new Date(start + below(5) * hour)),
});
function chunk(n: number): Chunk {
  const hash = Uint8Array.from({ length: 1 + (n % 20) }, () => below(256));
  hash[0] = n; // no two alike
  return {
    hash,
    size: below(10),
    body: "ebb and flow ".repeat(n % 12),
    ...(n % 2 ? { parent: Uint8Array.of(n % 5, 255, 0).buffer } : {}),
  };
}

const bytes = (n: number): ArrayBuffer => Uint8Array.from({ length: n }, (_, i) => (i * 37) & 0xff).buffer;
const holes: unknown[] = [1];
holes[3] = undefined;
/** Every kind of value that can be stored, under every kind of key. */
const samples: readonly Sample[] = [
  { id: -1.5, value: { s: "ü\u0000𝄞", n: 1.5, big: 1e300, list: [true, false, null, [], {}], empty: "" } },
  { id: 0, value: ["\ud800", "a\udc00b", "\udfff\ud800"] },
  { id: 1, value: { present: undefined, list: [undefined, 1] } },
  { id: 1e21, value: undefined },
  { id: Number.POSITIVE_INFINITY, value: [-0, 0, { z: -0 }] },
  { id: Number.NEGATIVE_INFINITY, value: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] },
  { id: new Date(-1), value: [0n, -1n, 2n ** 80n, -(2n ** 64n)] },
  { id: new Date(0), value: [new Date(0), new Date(-1), new Date(start), new Date(Number.NaN)] },
  { id: "", value: [/a[/]b/giu, new RegExp("", "y")] },
  {
    id: "map",
    value: new Map<unknown, unknown>([
      ["k", 1],
      [{ key: new Date(5) }, new Map([[-0, undefined]])],
      [Number.NaN, [new Set(["x"])]],
    ]),
  },
  { id: "set", value: new Set<unknown>([1, "1", null, undefined, new Date(1), new Set([2n])]) },
  { id: "holes", value: holes },
  { id: "buffer", value: bytes(300) },
  {
    id: "views",
    value: [
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
  },
  { id: "odd", value: JSON.parse('{"__proto__":{"a":1},"toJSON":1,"constructor":null,"$t":[0],"":{"":[]}}') },
  { id: "\ud800", value: new Blob(["hello ", new Uint8Array([0, 255, 128])], { type: "text/x-lab" }) },
  { id: "𝄞", value: { in: [new File(["content"], "näme.txt", { type: "text/plain", lastModified: 86_400_000 })] } },
  { id: [], value: new Blob([]) },
  { id: [1, "a"], value: "0123456789".repeat(2400) },
  { id: [1, "a", 2], value: null },
];

/** A trivially correct database: what the engine is told, this is told too. */
class Model {
  readonly #kept: Readonly<Record<string, Map<string, Fields>>> = Object.fromEntries(
    Object.keys(collections).map((one) => [one, new Map<string, Fields>()]),
  );

  async put(into: Name, records: readonly object[]): Promise<void> {
    for (const record of records) {
      this.#kept[into]!.set(await saidKey(into, record as Fields), record as Fields);
    }
  }

  async delete(from: Name, records: readonly object[]): Promise<void> {
    for (const record of records) this.#kept[from]!.delete(await saidKey(from, record as Fields));
  }

  records(of: Name): Fields[] {
    const { key } = collections[of];
    return [...this.#kept[of]!.values()].sort((a, b) => compare(at(a, key), at(b, key)));
  }

  async expected(): Promise<Fixture["expected"]> {
    const all: Record<string, ExpectedCollection> = {};
    for (const of of Object.keys(collections) as Name[]) {
      const records = this.records(of);
      const indexes: Record<string, (readonly [Described, number])[]> = {};
      for (const [index, spec] of Object.entries(collections[of].indexes)) {
        const entries = records.flatMap((record, i) => indexKeys(record, spec).map((key) => [key, i] as const));
        entries.sort(([a, i], [b, j]) => compare(a, b) || i - j);
        indexes[index] = await Promise.all(entries.map(async ([key, i]) => [await described(key), i] as const));
      }
      all[of] = { records: (await described(records)) as Described[], indexes };
    }
    return all;
  }
}

const saidKey = async (of: Name, record: Fields): Promise<string> =>
  JSON.stringify(await described(at(record, collections[of].key)));

/** IndexedDB's order, with null, false and true in front. */
function compare(a: unknown, b: unknown): number {
  const rank = (key: unknown): number => [null, false, true].indexOf(key as null) + 1 || 4;
  return rank(a) - rank(b) || (rank(a) < 4 ? 0 : indexedDB.cmp(a, b));
}

function at(record: Fields, path: AnyDeclaration["key"]): unknown {
  if (typeof path !== "string") return path.map((p) => at(record, p));
  return path.split(".").reduce<unknown>((value, field) => (value as Fields | undefined)?.[field], record);
}

function indexKeys(record: Fields, spec: unknown): unknown[] {
  const { path = spec, multi = false } = spec as { path?: unknown; multi?: boolean };
  const key = at(record, path as AnyDeclaration["key"]);
  if (multi) return [...new Map((key as unknown[]).map((one) => [JSON.stringify(one), one])).values()];
  return (Array.isArray(path) ? (key as unknown[]) : [key]).includes(undefined) ? [] : [key];
}

async function tell(): Promise<Fixture> {
  const medium = createMemoryStorage();
  let now = start;
  let ids = 0;
  const life = new Life(medium, {
    clock: { now: () => (now += 5), sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)) },
    random: { next: random, id: () => `fixture-tab-${++ids}` },
  });
  const options = { name, collections, memtableMaxBytes: 64 * 1024 };
  const [first, second] = [await life.open(options), await life.open(options)];
  const model = new Model();
  const put = async (into: Name, records: readonly object[], tab = first): Promise<void> => {
    await model.put(into, records);
    await tab.collection(into).putMany(records as never[]);
  };
  const remove = async (from: Name, records: readonly object[], tab = first): Promise<void> => {
    await model.delete(from, records);
    const keys = records.map((record) => at(record as Fields, collections[from].key));
    await tab.collection(from).deleteMany(keys as never[]);
  };
  const some = (from: Name, chance: number): Fields[] => model.records(from).filter(() => random() < chance);

  const people = Array.from({ length: 150 }, (_, n) => person(n));
  for (let n = 0; n < people.length; n += 30) await put("people", people.slice(n, n + 30));
  await put(
    "readings",
    Array.from({ length: 120 }, (_, n) => reading(n)),
    second,
  );
  await first.checkpoint();
  const view = await second.readView();
  await put(
    "days",
    Array.from({ length: 50 }, (_, n) => day(n)),
  );
  await put(
    "chunks",
    Array.from({ length: 40 }, (_, n) => chunk(n)),
  );
  for (const sample of samples.slice(0, 12)) await put("samples", [sample]);
  await put(
    "people",
    some("people", 0.3).map((one) => ({ ...one, age: below(60) })),
    second,
  );
  await remove("people", some("people", 0.1));
  await remove("readings", some("readings", 0.2), second);
  await first.checkpoint();

  // From here on it stays in the log.
  await put("samples", samples.slice(12));
  await put("empty", [{ id: "gone", n: 1 }]);
  await remove("empty", [{ id: "gone" }]);
  await put(
    "people",
    Array.from({ length: 20 }, (_, n) => person(150 + n)),
  );
  await put(
    "readings",
    some("readings", 0.1).map((one) => ({ ...one, value: -below(100) })),
  );
  await remove("days", some("days", 0.2));
  await remove("chunks", some("chunks", 0.2), second);
  const [moved] = model.records("days");
  await model.delete("days", [moved!]);
  await model.put("days", [{ ...moved, day: new Date(start - 99 * 24 * hour) }]);
  await second.transaction(async (tx) => {
    const days = tx.collection("days");
    await days.delete(moved!["day"] as Date);
    await days.put({ ...(moved as unknown as Day), day: new Date(start - 99 * 24 * hour) });
  });

  const storage = await medium.open(name);
  const stores = await dump(storage);
  await storage.close();
  view.release();
  await Promise.all([first.close(), second.close()]);
  return { name, collections, expected: await model.expected(), stores };
}

const format = argv[2];
if (!format || !/^\d+$/.test(format)) throw new Error("Say which storage format this is: a number");
const file = new URL(`../fixtures/format-${format}.json`, import.meta.url);
const fixture = await tell();
await writeFile(file, `${JSON.stringify(fixture)}\n`);
