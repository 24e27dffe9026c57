/** The records that are written and read, the same for every peer, and the proof that they came back. */

export interface Item {
  readonly id: string;
  readonly listId: number;
  readonly title: string;
  readonly amount: number;
  readonly done: boolean;
  readonly createdAt: Date;
  /** Every tenth record has this field, and its value is `undefined`. */
  readonly note?: string | undefined;
}

export const lists = 200;

/** A small generator of the xorshift family (Marsaglia 2003): every run measures the same records. */
export function randomFrom(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

const hex = (n: number): string => n.toString(16).padStart(8, "0");
const words = ["tide", "mark", "shore", "harbour", "current", "ebb", "flood", "lantern", "anchor", "compass"];

/** `count` records with ids in random order, as version 4 UUIDs are. Different seeds give different records. */
export function makeItems(count: number, seed: number): Item[] {
  const random = randomFrom(seed);
  const word = (): string => words[random() % words.length]!;
  return Array.from({ length: count }, (_, i) => ({
    id: `${hex(random())}-${hex(random())}-${hex(random())}${i.toString(36)}`,
    listId: random() % lists,
    title: `${word()} ${word()} ${word()}`,
    amount: random() % 10_000,
    done: random() % 2 === 0,
    createdAt: new Date(1_750_000_000_000 + (random() % 1_000_000) * 1000),
    ...(i % 10 === 0 ? { note: undefined } : {}),
  }));
}

/** A record as JSON and SQL have it: a Date is a number, and what is `undefined` is not there. */
export type PlainItem = Omit<Item, "createdAt"> & { readonly createdAt: number };

export const toPlain = (item: Item): PlainItem => ({ ...item, createdAt: item.createdAt.getTime() });
export const fromPlain = (item: PlainItem): Item => ({ ...item, createdAt: new Date(item.createdAt) });

/** The same records with other contents; indexed fields change as well. */
export function changed(items: readonly Item[], round: number): Item[] {
  return items.map((item) => ({
    ...item,
    listId: (item.listId + round) % lists,
    amount: (item.amount + round) % 10_000,
  }));
}

/** `count` ids out of these records, in random order. */
export function pickIds(items: readonly Item[], count: number, seed: number): string[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => items[random() % items.length]!.id);
}

/** Bytes of these records as JSON. */
export const jsonBytes = (items: readonly Item[]): number =>
  items.reduce((sum, item) => sum + JSON.stringify(item).length, 0);

export interface Proof {
  readonly count: number;
  readonly amount: number;
  /** Sum of the dates, in seconds. */
  readonly createdAt: number;
  /** Sum of the lengths of ids and titles. */
  readonly text: number;
  /** Records that have the field `note`, which is `undefined`; not counted where the peer cannot keep that. */
  readonly undefinedNotes: number;
}

/** What must come back. @throws where a record is missing, or its Date is no Date any more. */
export function proofOf(items: readonly (Item | undefined)[], keepsUndefined: boolean): Proof {
  let [amount, createdAt, text, undefinedNotes] = [0, 0, 0, 0];
  for (const item of items) {
    if (!item) throw new Error("A record is missing");
    if (!(item.createdAt instanceof Date)) throw new Error(`createdAt of ${item.id} is not a Date`);
    amount += item.amount;
    createdAt += item.createdAt.getTime() / 1000;
    text += item.id.length + item.title.length;
    if (keepsUndefined && "note" in item && item.note === undefined) undefinedNotes++;
  }
  return { count: items.length, amount, createdAt, text, undefinedNotes };
}

export function assertSame(found: Proof, expected: Proof, what: string): void {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what}: ${is} came back instead of ${should}`);
}
