/** That a stored database opens, holds exactly what its fixture says, and goes on working. */
import { expect } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import type { Collection } from "./client/collection.ts";
import type { Database } from "./client/database.ts";
import type { AnyDeclaration, Declarations, IndexSpec } from "./client/types.ts";
import { type Described, described, type ExpectedCollection, type Fixture } from "./fixture.test-support.ts";

declare global {
  interface ImportMeta {
    /** Vite's: the contents of the files of a pattern. */
    glob(
      pattern: string,
      options: { readonly eager: true; readonly query: "?raw"; readonly import: "default" },
    ): Record<string, string>;
  }
}
/** Parsed here, since bundlers refuse JSON with lone surrogates. */
const texts = import.meta.glob("../fixtures/format-*.json", { eager: true, query: "?raw", import: "default" });

/** By the names of their files, in Node and in browsers. */
export const fixtures: Readonly<Record<string, Fixture>> = Object.fromEntries(
  Object.entries(texts).map(([file, text]) => [file.replaceAll(/^.*\/|\.json$/g, ""), JSON.parse(text) as Fixture]),
);

type Fields = Readonly<Record<string, unknown>>;
type Records = Collection<AnyDeclaration>;

/** Reads everything every way, writes, folds and opens again; `open` opens what was restored. */
export async function proveFixture(fixture: Fixture, open: () => Promise<Database<Declarations>>): Promise<void> {
  let db = await open();
  let expected = fixture.expected;
  await proveContents(db, fixture, expected);
  expected = await write(db, fixture, expected);
  await proveContents(db, fixture, expected);
  await db.checkpoint();
  await proveContents(db, fixture, expected);
  expect((await db.verify()).damage).toEqual([]);
  await db.close();
  db = await open();
  await proveContents(db, fixture, expected);
  expect((await db.verify()).damage).toEqual([]);
  await db.close();
}

async function proveContents(
  db: Database<Declarations>,
  fixture: Fixture,
  expected: Fixture["expected"],
): Promise<void> {
  for (const [name, declaration] of Object.entries(fixture.collections)) {
    await proveCollection(db.collection(name), declaration, expected[name]!);
  }
}

async function proveCollection(
  records: Records,
  declaration: AnyDeclaration,
  expected: ExpectedCollection,
): Promise<void> {
  const all = (await records.all()) as Fields[];
  expect(await described(all)).toEqual(expected.records);
  expect(await records.count()).toBe(all.length);
  const keys = all.map((record) => keyAt(record, declaration.key));
  expect(await described(await records.getMany(keys as never[]))).toEqual(expected.records);
  expect(await described(await records.where().reverse().toArray())).toEqual(expected.records.toReversed());
  for (const [index, entries] of Object.entries(expected.indexes)) {
    await proveIndex(records, index, declaration.indexes[index] as IndexSpec<Fields>, all, entries);
  }
}

async function proveIndex(
  records: Records,
  index: string,
  spec: IndexSpec<Fields>,
  all: readonly Fields[],
  entries: ExpectedCollection["indexes"][string],
): Promise<void> {
  const found = (positions: Iterable<number>): Fields[] => [...new Set(positions)].map((p) => all[p]!);
  const query = records.where(index as never);
  const ordered = found(entries.map(([, position]) => position));
  expect(await query.toArray()).toEqual(ordered);
  expect(await query.count()).toBe(ordered.length);
  expect(await query.reverse().toArray()).toEqual(found(entries.map(([, p]) => p).toReversed()));

  const groups = new Map<string, number[]>();
  for (const [said, position] of entries) {
    const group = groups.get(JSON.stringify(said));
    if (group) group.push(position);
    else groups.set(JSON.stringify(said), [position]);
  }
  for (const [said, positions] of groups) {
    const key = await actualKey(all[positions[0]!]!, spec, said);
    const equal = found(positions);
    expect(await query.equals(key as never).toArray()).toEqual(equal);
    if (isUnique(spec)) await proveRefused(records, index, spec, equal[0]!, all);
  }
  const [low, high] = [entries[entries.length >> 2], entries[(entries.length * 3) >> 2]];
  if (!low || !high) return;
  const [lowest, below] = [JSON.stringify(low[0]), JSON.stringify(high[0])];
  const starts = (said: string): number => entries.findIndex(([key]) => JSON.stringify(key) === said);
  const between = query.between(
    (await actualKey(all[low[1]]!, spec, lowest)) as never,
    (await actualKey(all[high[1]]!, spec, below)) as never,
  );
  const inside = entries.slice(starts(lowest), starts(below)).map(([, position]) => position);
  expect(await between.toArray()).toEqual(found(inside));
  expect(await between.count()).toBe(new Set(inside).size);
}

/** Another record cannot take a unique key. */
async function proveRefused(
  records: Records,
  index: string,
  spec: IndexSpec<Fields>,
  owner: Fields,
  all: readonly Fields[],
): Promise<void> {
  const other = all.find((record) => record !== owner)!;
  const path = pathOf(spec) as string;
  const stolen = { ...other, [path]: owner[path] };
  await expect(records.put(stolen)).rejects.toSatisfy((e) => isTidemarkError(e, "CONSTRAINT"), `${index} is unique`);
}

/** Deletes, writes anew and adds; answers what is to be found from now on. */
async function write(
  db: Database<Declarations>,
  fixture: Fixture,
  expected: Fixture["expected"],
): Promise<Fixture["expected"]> {
  const left: Record<string, ExpectedCollection> = {};
  for (const [name, declaration] of Object.entries(fixture.collections)) {
    const records: Records = db.collection(name);
    const all = (await records.all()) as Fields[];
    const doomed = all.filter((_, i) => i % 3 === 0);
    await records.deleteMany(doomed.map((record) => keyAt(record, declaration.key)) as never[]);
    const back = doomed.filter((_, i) => i % 2 === 0);
    if (back.length > 0) await records.addMany(back);
    const kept = all.map((_, i) => i % 3 !== 0 || (i / 3) % 2 === 0);
    const changed = all.map((_, i) => i % 3 === 1);
    await db.transaction(async (tx) => {
      const again = all.filter((_, i) => changed[i]).map((record) => ({ ...record, again: "written anew" }));
      await (tx.collection(name) as unknown as Records).putMany(again);
    });
    left[name] = remaining(expected[name]!, kept, changed);
  }
  return left;
}

function remaining(
  before: ExpectedCollection,
  kept: readonly boolean[],
  changed: readonly boolean[],
): ExpectedCollection {
  const position: number[] = [];
  let next = 0;
  for (const stays of kept) position.push(stays ? next++ : -1);
  const records = before.records.flatMap((record, i): Described[] => {
    if (!kept[i]) return [];
    return [changed[i] ? { ...(record as Record<string, Described>), again: "written anew" } : record];
  });
  const indexes = Object.entries(before.indexes).map(([index, entries]) => [
    index,
    entries.flatMap(([key, at]) => (kept[at] ? [[key, position[at]!] as const] : [])),
  ]);
  return { records, indexes: Object.fromEntries(indexes) as ExpectedCollection["indexes"] };
}

const pathOf = (spec: IndexSpec<Fields>): unknown => (typeof spec === "object" && "path" in spec ? spec.path : spec);
const isUnique = (spec: IndexSpec<Fields>): boolean => typeof spec === "object" && "unique" in spec && spec.unique;

/** Of the keys a record has in an index, the one of which this is said, as JSON. */
async function actualKey(record: Fields, spec: IndexSpec<Fields>, said: string): Promise<unknown> {
  const key = keyAt(record, pathOf(spec));
  const isMulti = typeof spec === "object" && "multi" in spec && spec.multi;
  for (const one of isMulti ? (key as unknown[]) : [key]) if (JSON.stringify(await described(one)) === said) return one;
  throw new Error(`a record has no index key ${said}`);
}

function keyAt(record: Fields, path: unknown): unknown {
  if (Array.isArray(path)) return path.map((p) => keyAt(record, p));
  return (path as string).split(".").reduce<unknown>((at, field) => (at as Fields)[field], record);
}
