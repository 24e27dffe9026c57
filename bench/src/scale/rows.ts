/**
 * The records of the scale runs. Each is a function of its number, so that a million of them need no memory on the page
 * and whoever checks an answer makes it anew. Also runs in Node.
 */
export interface Row {
  readonly id: string;
  /** One of `groups` numbers. */
  readonly group: number;
  /** Twelve hexadecimal digits, hardly ever twice. */
  readonly code: string;
  readonly title: string;
  readonly amount: number;
  readonly done: boolean;
  readonly createdAt: Date;
}

export const groups = 1000;

const words = ["tide", "mark", "shore", "harbour", "current", "ebb", "flood", "lantern", "anchor", "compass"];

/** 32 well-mixed bits of a number and a salt: the finalizer of MurmurHash3 (Appleby). */
function mixed(n: number, salt: number): number {
  let x = (n ^ Math.imul(salt, 0x9e3779b9)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

export const idOf = (n: number): string => `r${String(n).padStart(8, "0")}`;
export const numberOf = (id: string): number => Number(id.slice(1));
export const groupOf = (n: number): number => mixed(n, 1) % groups;
export const codeOf = (n: number): string =>
  (mixed(n, 2).toString(16).padStart(8, "0") + mixed(n, 3).toString(16).padStart(8, "0")).slice(0, 12);

export function rowOf(n: number): Row {
  const word = (salt: number): string => words[mixed(n, salt) % words.length]!;
  return {
    id: idOf(n),
    group: groupOf(n),
    code: codeOf(n),
    title: `${word(4)} ${word(5)} ${word(6)} ${word(7)}`,
    amount: mixed(n, 8) % 10_000,
    done: mixed(n, 9) % 2 === 0,
    createdAt: new Date(1_750_000_000_000 + (mixed(n, 10) % 1_000_000) * 1000),
  };
}

/** @throws unless this is the record of its number, whole. */
export function assertRow(found: Row | undefined, n: number): void {
  const [is, should] = [JSON.stringify(found), JSON.stringify(rowOf(n))];
  if (is !== should) throw new Error(`record ${n} came back as ${is} instead of ${should}`);
  if (!(found?.createdAt instanceof Date)) throw new Error(`createdAt of record ${n} is not a Date`);
}

/** The numbers below `count`, each once, in random order and without a list: a Feistel cipher, walked until it is below. */
export function shuffled(count: number, seed: number): (position: number) => number {
  const halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, count)) / 2));
  const mask = 2 ** halfBits - 1;
  const enciphered = (n: number): number => {
    let [left, right] = [Math.floor(n / (mask + 1)), n & mask];
    for (let round = 0; round < 4; round++) [left, right] = [right, left ^ (mixed(right, seed * 4 + round) & mask)];
    return left * (mask + 1) + right;
  };
  return (position) => {
    let n = enciphered(position);
    while (n >= count) n = enciphered(n);
    return n;
  };
}

/** Whole numbers below a bound, the same for every run of one seed. */
export function dice(seed: number): (bound: number) => number {
  let at = 0;
  return (bound) => mixed(++at, seed) % bound;
}
