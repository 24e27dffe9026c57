/**
 * Whole databases whose stored rows are damaged, and what has to hold of them: whatever is asked is answered or fails with a
 * code, soon; what is read was written under that key; and where nothing tells of damage, all is there.
 */
import fc from "fast-check";
import { ok } from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { resealed } from "./base/mutations.test-support.ts";
import { collection, type Database, createDatabase, isTidemarkError, type TidemarkError } from "./index.ts";
import { type StoreKey, storeNames, type StoreName, type StoredValue } from "./storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "./storage/memory.ts";

interface Row {
  readonly id: string;
  readonly n: number;
  readonly tags: readonly string[];
  readonly pad: string;
}
const collections = {
  rows: collection<Row>()({ key: "id", indexes: { n: "n", tags: { path: "tags", multi: true } } }),
  large: collection<Row>()({ key: "id" }),
  gone: collection<Row>()({ key: "id", indexes: { n: "n" } }),
};
type Name = keyof typeof collections;
type World = Database<typeof collections>;
const names = Object.keys(collections) as Name[];
const databaseName = "damaged";

interface StoredRow {
  readonly store: StoreName;
  readonly key: StoreKey;
  readonly value: StoredValue;
}

/** What was ever committed under a key, newest last; `undefined`: it was deleted. */
type History = Map<string, (Row | undefined)[]>;
interface Story {
  readonly rows: readonly StoredRow[];
  readonly histories: Readonly<Record<Name, History>>;
}

const made = (storage: MemoryMedium): World =>
  createDatabase({ name: databaseName, collections, storage, worker: false, gc: { mode: "manual" } });

const row = (i: number, n: number, padBytes: number): Row => ({
  id: `r${String(i).padStart(4, "0")}`,
  n,
  tags: [`t${n % 3}`, `u${i % 5}`],
  pad: `${i}.${n};`.repeat(Math.ceil(padBytes / 5)).slice(0, padBytes),
});

/** As a killed browser leaves it: blocks in several checkpoints, a snapshot, a consumer, commits and staged writes in the log. */
async function told(): Promise<Story> {
  const storage = createMemoryStorage();
  const db = await made(storage).open();
  const histories = { rows: new Map(), large: new Map(), gone: new Map() } as Record<Name, History>;
  const note = (name: Name, id: string, value: Row | undefined): void => {
    const history = histories[name];
    history.set(id, [...(history.get(id) ?? []), value]);
  };
  const put = async (name: Name, all: readonly Row[]): Promise<void> => {
    await db.collection(name).putMany(all);
    for (const one of all) note(name, one.id, one);
  };
  const range = (from: number, to: number, n: number, pad: number): Row[] =>
    Array.from({ length: to - from }, (_, i) => row(from + i, n, pad));
  await put("rows", range(0, 400, 1, 150));
  await put("gone", range(0, 100, 1, 150));
  await put("large", range(0, 3, 1, 130_000));
  await db.checkpoint();
  await db.snapshots.create("early");
  await db.snapshots.create("also");
  await put("rows", range(50, 90, 2, 200));
  await db.collection("rows").deleteMany(["r0100", "r0101"]);
  for (const id of ["r0100", "r0101"]) note("rows", id, undefined);
  await db.collection("gone").clear();
  for (const id of histories.gone.keys()) note("gone", id, undefined);
  await db.checkpoint();
  await db.gc.run();
  const feed = db.changes({ consumer: "feed" })[Symbol.asyncIterator]();
  const first = feed.next();
  await put("rows", range(60, 62, 3, 100));
  await put("gone", range(0, 5, 3, 100));
  await db.checkpoint();
  await put("large", range(1, 2, 4, 100_000));
  await put("rows", range(500, 900, 4, 180));
  await put("rows", range(0, 3, 5, 20));
  await db.collection("rows").delete("r0300");
  note("rows", "r0300", undefined);
  await first;
  const storedRows = await rowsOf(storage);
  await feed.return?.();
  await db.close();
  return { rows: storedRows, histories };
}

async function rowsOf(medium: MemoryMedium): Promise<readonly StoredRow[]> {
  const storage = await medium.open(databaseName);
  const found = await storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
  return storeNames.flatMap((store, i) => found[i]!.map(({ key, value }) => ({ store, key, value })));
}

async function mediumOf(rows: readonly StoredRow[]): Promise<MemoryMedium> {
  const medium = createMemoryStorage();
  const storage = await medium.open(databaseName);
  const writes = rows.map(({ store, key, value }) => ({ kind: "put", store, key, value }) as const);
  await storage.commit({ durability: "strict", writes });
  return medium;
}

const nameOf = ({ store, key }: StoredRow): string => `${store} ${key}`;

const story = await told();
const rowNames = story.rows.map(nameOf);

/** What happens to one row. `seal`: the checksum fits afterwards. */
type Blow =
  | { readonly kind: "lose" }
  | { readonly kind: "swap" | "copy"; readonly other: number }
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "cut"; readonly at: number }
  /** Some bytes are others, and the checksum fits. */
  | { readonly kind: "forge"; readonly at: number; readonly bytes: Uint8Array };

export interface Damaged {
  readonly blows: readonly (readonly [row: string, Blow])[];
}

const nat = fc.nat(0xffff);
const blow = fc.oneof(
  fc.record({ kind: fc.constant("lose" as const) }),
  fc.record({ kind: fc.constantFrom("swap" as const, "copy" as const), other: nat }),
  fc.record({ kind: fc.constant("flip" as const), at: nat, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("cut" as const), at: nat }),
);
const forgery = fc.record({
  kind: fc.constant("forge" as const),
  at: fc.oneof(fc.nat(60), nat),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 4 }),
    fc.constant(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15)),
  ),
});
/** Where what is read may be anything that whoever forged it wrote. */
export const forgedStores: fc.Arbitrary<Damaged> = fc.record({
  blows: fc.array(fc.tuple(fc.constantFrom(...rowNames), forgery), { minLength: 1, maxLength: 2 }),
});
export const damagedStores: fc.Arbitrary<Damaged> = fc.record({
  blows: fc.array(fc.tuple(fc.constantFrom(...story.rows.map(nameOf)), blow), { minLength: 1, maxLength: 3 }),
});

/** Rows of one store alone are swapped: none has the keys of another. */
function struck(rows: readonly StoredRow[], name: string, one: Blow): readonly StoredRow[] {
  const hit = rows.find((r) => nameOf(r) === name);
  if (!hit) return rows;
  const replaced = (of: StoredRow, value: StoredValue): StoredRow => ({ ...of, value });
  switch (one.kind) {
    case "lose":
      return rows.filter((r) => r !== hit);
    case "swap":
    case "copy": {
      const same = rows.filter((r) => r.store === hit.store);
      const other = same[one.other % same.length]!;
      return rows.map((r) => {
        if (r === hit) return replaced(r, other.value);
        return r === other && one.kind === "swap" ? replaced(r, hit.value) : r;
      });
    }
    case "flip": {
      const value = hit.value.slice();
      value[one.at % value.length]! ^= 1 << one.bit;
      return rows.map((r) => (r === hit ? replaced(r, value) : r));
    }
    case "cut":
      return rows.map((r) => (r === hit ? replaced(r, hit.value.slice(0, one.at % hit.value.length)) : r));
    case "forge": {
      const { value } = hit;
      if (value.length < 10) return rows;
      const at = 8 + (one.at % (value.length - 8));
      const forged = Uint8Array.from([...value.slice(0, at), ...one.bytes, ...value.slice(at + one.bytes.length)]);
      return rows.map((r) => (r === hit ? replaced(r, resealed(forged, value) as StoredValue) : r));
    }
    default:
      return rows;
  }
}

export type Outcome = "unharmed" | "refused" | "told";

/** Where upkeep cannot begin, whoever asks for it is patient for two or three seconds before he is told. */
const hangMs = 20_000;

/** An assertion says that memory is not what we wrote; any other INTERNAL is an error of the language. */
const isBug = (e: TidemarkError): boolean =>
  e.code === "INTERNAL" && !e.message.startsWith("Tidemark broke its own rule");

/** What the work answers, or the code it fails with: within a while, and with one. */
class Asked {
  readonly codes: string[] = [];
  readonly errors: TidemarkError[] = [];

  async of<T>(what: string, work: () => Promise<T>): Promise<{ readonly answer: T } | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} hangs`)), hangMs);
    });
    try {
      return { answer: await Promise.race([work(), late]) };
    } catch (e) {
      if (!isTidemarkError(e) || isBug(e)) throw new Error(`${what}: ${String(e)}`, { cause: e });
      this.codes.push(`${what}: ${e.code} ${e.message}`);
      this.errors.push(e);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

export async function checkDamaged({ blows }: Damaged): Promise<Outcome> {
  const isForged = blows.some(([, { kind }]) => kind === "forge");
  const rows = blows.reduce((all, [at, one]) => struck(all, at, one), story.rows);
  const medium = await mediumOf(rows);
  const asked = new Asked();
  const expected = new Map(
    names.map((name) => [name, new Map([...story.histories[name]].map(([id, all]) => [id, [...all]]))]),
  );
  let isTold = false;
  // Then it is one of before, and without its last entries nobody can tell.
  let isStruck = blows.some(([name, { kind }]) => kind === "lose" && /^log \d/.test(name));
  const bugs: unknown[] = [];
  const trust = (): Trust => (isForged ? "nothing" : isStruck ? "once" : "newest");
  for (let life = 0; life < 2; life++) {
    const db = made(medium);
    db.on("error", (e: unknown) => {
      if (isTidemarkError(e) && isBug(e)) bugs.push(e);
      isTold = true;
      isStruck ||= isTidemarkError(e, "CORRUPT") && e.message.includes("end of the log");
    });
    if (!(await asked.of("open", () => db.open()))) return "refused";
    try {
      await readAll(db, asked, expected, trust);
      const verified = await asked.of("verify", () => db.verify());
      if (verified && verified.answer.damage.length > 0) isTold = true;
      if (life === 0) {
        await asked.of("salvage", () => drained(db.salvage()));
        for (const name of names) {
          for (const i of [1, 55, 2000]) {
            const one = row(i, 7 + life, 40);
            const done = await asked.of(`put ${name} ${one.id}`, () => db.collection(name).put(one));
            const history = expected.get(name)!;
            if (done) history.set(one.id, [one]);
          }
        }
        await asked.of("checkpoint", () => db.checkpoint());
        await asked.of("gc", () => db.gc.run());
        await asked.of("explain", () => db.gc.explain());
        await asked.of("executions", () => db.gc.executions());
        await asked.of("metrics", () => db.storage.metrics());
        for (const name of ["early", "also"]) {
          await asked.of(`snapshot ${name}`, async () => {
            const view = await db.snapshots.view(name);
            try {
              return await view.collection("rows").all();
            } finally {
              view.release();
            }
          });
        }
        await readAll(db, asked, expected, trust);
      }
    } finally {
      await asked.of("close", () => db.close());
    }
  }
  if (bugs.length > 0) throw new Error(`told of ${String(bugs[0])}`, { cause: bugs[0] });
  ok(isForged || !asked.codes.some((code) => code.includes("INTERNAL")), asked.codes.join(", "));
  return isTold || isStruck || asked.codes.length > 0 ? "told" : "unharmed";
}

const drained = async (stream: ReadableStream<Uint8Array>): Promise<number> => {
  let bytes = 0;
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) bytes += chunk.length;
  return bytes;
};

/**
 * What has to hold of what is read: all that is answered is the newest, since damage is told by whoever meets it; each
 * record was written once, where the end of the log was struck; or nothing, since bytes were forged.
 */
type Trust = "newest" | "once" | "nothing";

async function readAll(
  db: World,
  asked: Asked,
  expected: ReadonlyMap<Name, History>,
  trust: () => Trust,
): Promise<void> {
  const check = (
    what: string,
    name: Name,
    answered: { readonly answer: readonly Row[] } | undefined,
    newest: readonly Row[],
  ): void => {
    if (!answered || trust() === "nothing") return;
    for (const one of answered.answer) checkOne(name, expected.get(name)!, one);
    if (trust() === "newest") checkSame(what, answered.answer, newest);
  };
  for (const name of names) {
    const history = expected.get(name)!;
    const newest = newestIn(history);
    check(`${name}.all`, name, await asked.of(`${name}.all`, () => db.collection(name).all()), newest);
    const ids = [...history.keys()];
    for (const id of ids.filter((_, i) => i % 37 === 0 || ids.length < 20)) {
      const what = `${name}.get ${id}`;
      const found = await asked.of(what, async () => {
        const one = await db.collection(name).get(id);
        return one ? [one] : [];
      });
      if (trust() !== "nothing") for (const one of found?.answer ?? []) ok(one.id === id, `${what} answers ${one.id}`);
      check(
        what,
        name,
        found,
        newest.filter((one) => one.id === id),
      );
    }
  }
  const rows = newestIn(expected.get("rows")!);
  const byKey = (found: readonly Row[]): readonly Row[] => found.toSorted((x, y) => (x.id < y.id ? -1 : 1));
  const byIndex = async (what: string, ask: () => Promise<readonly Row[]>, is: (one: Row) => boolean): Promise<void> =>
    check(what, "rows", await asked.of(what, async () => byKey(await ask())), rows.filter(is));
  await byIndex(
    "where n",
    () => db.collection("rows").where("n").aboveOrEqual(2).toArray(),
    ({ n }) => n >= 2,
  );
  await byIndex(
    "where tags",
    () => db.collection("rows").where("tags").equals("t2").toArray(),
    ({ tags }) => tags.includes("t2"),
  );
}

/** In the order of their keys. */
const newestIn = (history: History): readonly Row[] =>
  [...history].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, all]) => all.at(-1) ?? []);

function checkOne(name: string, history: History, one: Row): void {
  const versions = history.get(one.id) ?? [];
  ok(
    versions.some((v) => isDeepStrictEqual(v, one)),
    `${name} ${one.id} reads as what was never written: ${JSON.stringify(one).slice(0, 120)}`,
  );
}

function checkSame(what: string, found: readonly unknown[], expected: readonly unknown[]): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Error(
    `${what}: ${found.length} instead of ${expected.length} are there, or others, and nothing tells of damage`,
  );
}
