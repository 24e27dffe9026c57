import { TidemarkError } from "../../base/errors.ts";
import type { ByteKey } from "../../base/brand.ts";
import { encodeKey } from "../../codec/key.ts";
import { readKey } from "../../codec/path.ts";
import type { Collection } from "../collection.ts";
import type { Database } from "../database.ts";
import type { AnyDeclaration, Declarations } from "../types.ts";
import type { ImportOptions } from "./options.ts";

type OnConflict = NonNullable<ImportOptions["onConflict"]>;
type Rows = Collection<AnyDeclaration>;
/** Where a record stands in what it came from: its line, its frame's offset, its key there. */
type Place = Readonly<Record<string, unknown>>;

interface Entries {
  readonly values: object[];
  readonly places: Place[];
}

/** Records of any collections that are written as one. */
export class Batch {
  readonly #entries = new Map<string, Entries>();
  sizeBytes = 0;
  skipped = 0;
  /** How many records of the stream are dealt with, once this is written. */
  end = 0;

  has(collection: string): boolean {
    return this.#entries.has(collection);
  }

  add(collection: string, value: unknown, sizeBytes: number, place: Place): void {
    const entries = this.#entries.get(collection) ?? { values: [], places: [] };
    this.#entries.set(collection, entries);
    entries.values.push(value as object);
    entries.places.push(place);
    this.sizeBytes += sizeBytes;
  }

  /** How many records were written, by collection. */
  async write(database: Database<Declarations>, onConflict: OnConflict): Promise<ReadonlyMap<string, number>> {
    const [first] = this.#entries;
    if (first === undefined) return new Map();
    // A transaction is needed only for what depends on what is there, or is of several collections.
    if (this.#entries.size === 1 && onConflict !== "skip") {
      const [name, entries] = first;
      return new Map([[name, await writeAll(database.collection(name), entries, onConflict === "replace")]]);
    }
    return database.transaction(async (tx) => {
      const written = new Map<string, number>();
      for (const [name, entries] of this.#entries) {
        const collection = tx.collection(name);
        const free = onConflict === "skip" ? await freeOf(collection, entries) : entries;
        written.set(name, await writeAll(collection, free, onConflict === "replace"));
      }
      return written;
    });
  }
}

async function writeAll(collection: Rows, entries: Entries, isReplacing: boolean): Promise<number> {
  try {
    const { values } = entries;
    return (await (isReplacing ? collection.putMany(values) : collection.addMany(values))).length;
  } catch (e) {
    throw placed(e, entries);
  }
}

/** Those whose key is not taken, neither in the collection nor by one before. */
async function freeOf(collection: Rows, { values, places }: Entries): Promise<Entries> {
  const { keyPath: path } = collection;
  /** By key, where it stands first. */
  const firsts = new Map<ByteKey, number>();
  const keys: unknown[] = [];
  const isFree = values.map((value, i) => {
    const key = readKey(value, path);
    if (key === undefined) return true; // writing it says what is wrong
    const encoded = encodedKey(key, collection.name, places[i]!);
    if (!firsts.has(encoded)) {
      firsts.set(encoded, i);
      keys.push(key);
    }
    return false;
  });
  const isTaken = await collection.hasMany(keys);
  for (const [nth, i] of Array.from(firsts.values()).entries()) isFree[i] = !isTaken[nth];
  return { values: values.filter((_, i) => isFree[i]), places: places.filter((_, i) => isFree[i]) };
}

function encodedKey(key: unknown, where: string, place: Place): ByteKey {
  try {
    return encodeKey(key, where);
  } catch (e) {
    throw placed(e, { values: [], places: [place] });
  }
}

/** Says where in the stream the record stands that was refused. */
function placed(e: unknown, { places }: Entries): unknown {
  if (!(e instanceof TidemarkError)) return e;
  const { failures, where } = e.details as {
    failures?: readonly { readonly position: number }[];
    where?: unknown;
  };
  const named = typeof where === "string" ? /^[^.]*?\[(\d+)\]/.exec(where)?.[1] : undefined;
  const place = places[failures?.[0]?.position ?? Number(named ?? 0)];
  if (place === undefined || (failures === undefined && typeof where !== "string")) return e;
  const stands = Object.entries(place).map(([what, at]) => `${what} ${String(at)}`);
  return new TidemarkError(e.code, `${e.message} (${stands.join(", ")})`, { ...e.details, ...place }, e);
}
