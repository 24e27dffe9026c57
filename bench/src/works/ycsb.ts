/**
 * YCSB's six core workloads, one client, each call awaited: records of about a kilobyte under hashed keys.
 *
 *   A  half reads, half updates          B  19 of 20 reads, one update       C  reads
 *   D  19 of 20 reads of the latest, one insert        E  19 of 20 scans of 1 to 100, one insert
 *   F  half reads, half reads followed by a write of the same record
 */
import { assertNumber, type Fixture } from "../fixture.ts";
import { type Item, randomFrom } from "../items.ts";
import type { Table } from "../peers/peer.ts";
import { type Figures, timed } from "../timing.ts";
import type { Work } from "./work.ts";
import { fnv, zipfian } from "./zipf.ts";

type Operation = "read" | "update" | "insert" | "scan" | "modify";
interface Mix {
  readonly most: Operation;
  readonly other: Operation;
  readonly otherShare: number;
  readonly latest?: true;
}
const mixes: Readonly<Record<string, Mix>> = {
  A: { most: "read", other: "update", otherShare: 0.5 },
  B: { most: "read", other: "update", otherShare: 0.05 },
  C: { most: "read", other: "read", otherShare: 0 },
  D: { most: "read", other: "insert", otherShare: 0.05, latest: true },
  E: { most: "scan", other: "insert", otherShare: 0.05 },
  F: { most: "read", other: "modify", otherShare: 0.5 },
};
const maxScan = 100;
/** A peer that takes longer performs fewer operations. */
const maxMs = 60_000;

/** Operations a second of each. All six on one database, in the order that YCSB advises: A, B, C, F, D, E. */
export const ycsb: Work = async (fixture) => {
  const db = await fixture.open("ycsb", ["listId"]);
  const run = new Run(fixture, db.items);
  await run.load();
  const figures: Figures = {};
  for (const name of ["A", "B", "C", "F", "D", "E"]) figures[`ycsb${name}`] = await run.measure(mixes[name]!);
  const again = await fixture.reopened(db, ["listId"]);
  fixture.assertItems(await again.items.all(), run.records, "YCSB");
  await again.close();
  return figures;
};

const keyOf = (n: number): string => `user${fnv(n).toString(36).padStart(11, "0")}`;
const text = (random: () => number): string => {
  let found = "";
  while (found.length < 1000) found += (random() % 2 ** 31).toString(36);
  return found.slice(0, 1000);
};

class Run {
  readonly records: Item[] = [];
  readonly #items: Table;
  readonly #random = randomFrom(60);
  readonly #operations: number;
  readonly #loaded: number;
  readonly #peer: string;

  constructor({ sizes, peer }: Fixture, items: Table) {
    this.#items = items;
    this.#operations = sizes.ycsbOperations;
    this.#loaded = sizes.ycsbRecords;
    this.#peer = peer.title;
  }

  async load(): Promise<void> {
    for (let n = 0; n < this.#loaded; n++) this.records.push(this.#record(n));
    await this.#items.insertMany(this.records);
  }

  /** Operations a second. */
  async measure(mix: Mix): Promise<number> {
    const unit = (): number => this.#random() / 2 ** 32;
    const rank = zipfian(this.records.length, unit);
    /** Ranks are spread over all keys, except where the latest are asked for the most often. */
    const next = (): number => {
      const count = this.records.length;
      return mix.latest ? count - 1 - rank() : fnv(rank()) % count;
    };
    const planned = Array.from({ length: this.#operations }, () => (unit() < mix.otherShare ? mix.other : mix.most));
    let done = 0;
    const ms = await timed(async () => {
      const until = performance.now() + maxMs;
      for (const operation of planned) {
        if (performance.now() > until) break;
        await this.#perform(operation, next());
        done++;
      }
    });
    return (done / ms) * 1000;
  }

  async #perform(operation: Operation, n: number): Promise<void> {
    const known = this.records[n]!;
    switch (operation) {
      case "read":
        return this.#assert(await this.#items.get(known.id), known);
      case "update":
        return this.#replace(n);
      case "modify":
        this.#assert(await this.#items.get(known.id), known);
        return this.#replace(n);
      case "insert": {
        const record = this.#record(this.records.length);
        this.records.push(record);
        await this.#items.insert(record);
        return;
      }
      case "scan": {
        const found = await this.#items.from(known.id, 1 + (this.#random() % maxScan));
        return this.#assert(found[0], known);
      }
      default:
        throw new Error(`There is no operation ${String(operation)}`);
    }
  }

  async #replace(n: number): Promise<void> {
    const record = { ...this.records[n]!, title: text(this.#random) };
    this.records[n] = record;
    await this.#items.replace(record);
  }

  #record(n: number): Item {
    return {
      id: keyOf(n),
      listId: n % 100,
      title: text(this.#random),
      amount: n % 10_000,
      done: false,
      createdAt: new Date(1_750_000_000_000 + n * 1000),
    };
  }

  #assert(found: Item | undefined, expected: Item): void {
    if (found?.title !== expected.title) throw new Error(`${this.#peer} lost ${expected.id}`);
    assertNumber(found.amount, expected.amount, "An amount");
  }
}
