/** The same friends in a database of Dexie's and in one of Tidemark's. */
import { Dexie, type Table } from "dexie";
import { collection, type Collection, type Database, openDatabase } from "tidemark";

export interface Friend {
  id: string;
  first: string;
  last: string;
  name: string;
  age: number;
  email: string;
  tags: string[];
  address: { city: string };
}

export const declaration = collection<Friend>()({
  key: "id",
  indexes: {
    name: "name",
    age: "age",
    email: { path: "email", unique: true },
    tags: { path: "tags", multi: true },
    byName: ["first", "last"],
    city: "address.city",
  },
});
const note = collection<{ id: string; text: string }>()({ key: "id" });
const collections = { friends: declaration, notes: note };

export interface World {
  readonly dexie: Dexie;
  readonly db: Database<typeof collections>;
  readonly theirs: Table<Friend, string>;
  readonly ours: Collection<typeof declaration>;
}

/** What a row's proof is: it does on both sides what its two cells say, and compares. */
export type Proof = (world: World) => Promise<void>;
/** Dexie's cell, Tidemark's cell, as they stand in the table, and the proof. */
export type Row = readonly [dexie: string, tidemark: string, proof: Proof];

const friend = (id: string, first: string, last: string, age: number, city: string, ...tags: string[]): Friend => ({
  id,
  first,
  last,
  name: `${first} ${last}`,
  age,
  email: `${id}@example.com`,
  tags,
  address: { city },
});

export const friends: readonly Friend[] = [
  friend("a", "Ada", "Lovelace", 3, "London", "math", "poetry"),
  friend("b", "Alan", "Turing", 41, "London", "math", "running"),
  friend("c", "Ada", "Yonath", 3, "Jerusalem"),
  friend("d", "Grace", "Hopper", 85, "New York", "navy", "math"),
  friend("e", "Kurt", "Gödel", 71, "Brno", "logic"),
  friend("f", "Emmy", "Noether", 53, "Erlangen", "math"),
];
export const another = friend("g", "Sofia", "Kovalevskaya", 41, "Moscow", "math");

let made = 0;
/** Names that nobody had. */
export const newName = (): string => `friends ${made++}`;

export async function worldOf(): Promise<World> {
  const name = newName();
  const dexie = new Dexie(name);
  dexie.version(1).stores({
    friends: "id, name, age, &email, *tags, [first+last], address.city",
    notes: "id",
  });
  const db = await openDatabase({ name, collections, storage: "memory", worker: false });
  const [theirs, ours] = [dexie.table<Friend, string>("friends"), db.collection("friends")];
  await theirs.bulkAdd(friends);
  await ours.addMany(friends);
  return { dexie, db, theirs, ours };
}

/** What a promise rejects with; it must. */
export async function refusalOf(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (e) {
    return e;
  }
  throw new Error("it was not refused");
}
