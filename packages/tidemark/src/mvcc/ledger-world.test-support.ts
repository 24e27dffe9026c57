/**
 * A list of all versions, which is asked by looking at each, and the ledger that has to agree. Keys of several tables,
 * with records and index entries (of which nobody knows when they came); points come and go; publishes collect by the
 * rule what they happen to look at, so a version may go long before an older one of its key; what is published is now
 * and then read back from its bytes.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { type Seq, seq, type TableId, tableId } from "../base/brand.ts";
import { GarbageLedger, unknownSeq } from "./ledger.ts";

export type Proof = "floor" | "interval";
export const proofs: fc.Arbitrary<Proof> = fc.constantFrom("floor", "interval");

interface Stored {
  readonly c: Seq;
  readonly isLive: boolean;
  readonly bytes: number;
  /** When it was superseded. */
  n: Seq | undefined;
}
/** Newest first. */
type Chain = Stored[];
const tables = 3;
/** The last table is that of an index. */
const tableOfKey = (key: number): TableId => tableId(1 + (key % tables));
const isIndex = (key: number): boolean => key % tables === tables - 1;
const firstSeq = (key: number, { c }: Stored): Seq => (isIndex(key) ? unknownSeq : c);

export class LedgerWorld {
  ledger = new GarbageLedger();
  readonly chains = new Map<number, Chain>();
  readonly points: Seq[] = [];
  readonly dead = new Set<TableId>();
  head = seq(0);
  fence = seq(0);
  floor = seq(0);
  readonly #proof: Proof;

  constructor(proof: Proof) {
    this.#proof = proof;
  }

  commit(keys: readonly number[], size: number): void {
    this.head = seq(this.head + 1);
    for (const key of new Set(keys)) {
      if (this.dead.has(tableOfKey(key))) continue;
      const chain = this.chains.get(key) ?? [];
      const newest = chain[0];
      // An index entry that is there can only be ended.
      const isLive = newest?.isLive !== true || (!isIndex(key) && (size + key) % 3 !== 0);
      if (newest) newest.n = this.head;
      if (newest?.isLive) this.ledger.supersede(firstSeq(key, newest), this.head, newest.bytes, tableOfKey(key));
      this.chains.set(key, [{ c: this.head, isLive, bytes: 1 + size + key, n: undefined }, ...chain]);
    }
  }

  addPoint(): void {
    this.points.push(this.head);
    this.ledger.points(this.points);
  }

  removePoint(share: number): void {
    this.points.splice(Math.floor(share * this.points.length), 1);
    this.ledger.points(this.points);
  }

  /** Folds up to `at` and collects what nobody at or above the floor, or at a point, can see; where it looks. */
  publish(at: Seq, wanted: Seq, isLooked: (key: number, c: Seq) => boolean, readsBack: boolean): void {
    const allowed = this.#proof === "floor" ? Math.min(wanted, ...this.points) : wanted;
    this.floor = seq(Math.max(this.floor, allowed));
    const next = this.ledger.through(at, this.floor);
    for (const [key, chain] of this.chains) {
      if (!this.dead.has(tableOfKey(key))) this.#collect(next, key, chain, seq(Math.min(this.floor, at)), isLooked);
    }
    next.forget((table) => this.dead.has(table));
    const bytes = next.encode();
    const again = GarbageLedger.decode(bytes);
    expect(again.encode()).toEqual(bytes);
    this.ledger.take(readsBack ? again : next);
    this.fence = at;
  }

  #collect(
    next: GarbageLedger,
    key: number,
    chain: Chain,
    upTo: Seq,
    isLooked: (key: number, c: Seq) => boolean,
  ): void {
    const kept = chain.filter((version, i) => {
      // What is stored tells no other successor than this one.
      const n = chain[i - 1]?.c;
      if (n === undefined || n > upTo || this.points.some((s) => version.c <= s && s < n)) return true;
      if (!isLooked(key, version.c)) return true;
      if (version.isLive) next.drop(firstSeq(key, version), n, version.bytes, tableOfKey(key));
      return false;
    });
    // A tombstone with nothing below it goes as well, whatever superseded it.
    const last = kept.at(-1);
    if (last && !last.isLive && last.c < upTo && !this.points.some((s) => s < last.c)) kept.pop();
    this.chains.set(key, kept);
  }

  count(counts: (c: Seq, n: Seq) => boolean): { versions: number; bytes: number } {
    const figures = { versions: 0, bytes: 0 };
    for (const [key, chain] of this.chains) {
      if (this.dead.has(tableOfKey(key))) continue;
      for (const version of chain) {
        if (version.n === undefined || !version.isLive || !counts(firstSeq(key, version), version.n)) continue;
        figures.versions++;
        figures.bytes += version.bytes;
      }
    }
    return figures;
  }

  spanned(c: Seq, n: Seq, points: readonly Seq[] = this.points): number {
    return new Set(points.filter((s) => s > 0 && c <= s && s < n)).size;
  }
}

const step = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      op: fc.constant("commit" as const),
      keys: fc.array(fc.nat(11), { minLength: 1, maxLength: 5 }),
      size: fc.nat(50),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("point" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("unpoint" as const), share: fc.double({ min: 0, max: 0.99, noNaN: true }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("publish" as const),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      floor: fc.double({ min: 0, max: 1, noNaN: true }),
      looks: fc.nat(3),
      readsBack: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("clear" as const), table: fc.integer({ min: 1, max: tables }) }),
  },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
export const steps = fc.array(step, { maxLength: 90, size: "max" });

export function take(world: LedgerWorld, s: Step): void {
  const { fence, head } = world;
  switch (s.op) {
    case "commit":
      return world.commit(s.keys, s.size);
    case "point":
      return world.addPoint();
    case "unpoint":
      return world.removePoint(s.share);
    case "clear":
      world.dead.add(tableId(s.table));
      return world.publish(head, seq(0), () => false, false); // nothing writes to a table once it is cleared
    case "publish": {
      const at = seq(fence + Math.floor((head - fence) * s.at));
      const isLooked = (key: number, c: Seq): boolean => s.looks === 0 || (key + c) % 3 !== s.looks - 1;
      return world.publish(at, seq(Math.floor(head * s.floor)), isLooked, s.readsBack);
    }
  }
}

export function played(all: readonly Step[], proof: Proof): LedgerWorld {
  const world = new LedgerWorld(proof);
  for (const s of all) take(world, s);
  return world;
}

/** Told with every run, and taken from the environment to repeat one. */
export const seed: number = Number(process.env["LEDGER_SEED"] ?? fc.sample(fc.noBias(fc.nat()), 1)[0]);
