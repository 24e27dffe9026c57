/**
 * A program that does random transactions on lists, as fast as it can, and tells what it did and read. It is the same in
 * a page and in a world.
 */
import type { Collection, CollectionDeclaration, Database, ReadableCollection } from "tidemark";
import type { Random } from "../random.ts";
import type { Found, List, Operation, Recorded } from "../serializability/history.ts";

export interface Row {
  readonly id: string;
  readonly list: List;
  /** Indexed. */
  readonly length: number;
}
export const indexes = { length: "length" } as const;
export type Lists = CollectionDeclaration<Row, "id", typeof indexes>;
type Rows = Collection<Lists>;
type Readable = ReadableCollection<Lists>;
export type Db = Pick<Database<{ lists: Lists }>, "transaction" | "readView">;

export interface Terms {
  readonly db: Db;
  /** Of this client alone. */
  readonly name: string;
  readonly random: Random;
  readonly now: () => number;
  /** Another element, which nobody else has. */
  readonly element: () => number;
  /**
   * Told of each run of a body once it has ended, before it may be committed: as unknown, and again when more is known.
   * What is never told of was never committed.
   */
  readonly tell: (id: string, recorded: Recorded) => Promise<void>;
  /** How many keys all clients work on at a time. */
  readonly keys: number;
  /** Lets others go on, in the middle of a body. */
  readonly pause: () => Promise<void>;
}

type Step = "append" | "read" | "scan" | "short" | "long" | "pause";

/** Lists go on under another key from here on, or a history were as large as the square of its length. */
const maxLength = 24;

/** A run of a body. */
interface Draft {
  readonly id: string;
  readonly invokedAt: number;
  readonly operations: Operation[];
  /** It has ended: from here on it may be committed. */
  isComplete: boolean;
}

class RolledBack extends Error {}

export class Client {
  /** Codes of errors that calls ended with, but for conflicts. */
  readonly failures: string[] = [];
  readonly #terms: Terms;
  readonly #generations = new Map<string, number>();
  #drafts = 0;

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  /** One more: mostly a transaction. */
  next(): Promise<void> {
    const { random } = this.#terms;
    return random.chance(0.2) ? this.#look(random.chance(0.5)) : this.#transact();
  }

  /** Everything there is now, whoever wrote it. */
  lookAtAll(): Promise<void> {
    return this.#view(true, async (rows, operations) => {
      operations.push({ op: "scan", from: "", to: "~", found: await found(rows.where()) });
    });
  }

  async #transact(): Promise<void> {
    const { db, random, now } = this.#terms;
    const steps = this.#draw();
    const rollsBack = random.chance(0.05);
    const invokedAt = now();
    let draft: Draft | undefined;
    const body = async (rows: Rows): Promise<void> => {
      if (draft) await this.#end(draft, "aborted"); // it lost, and runs again
      draft = this.#begin(invokedAt);
      for (const [step, base] of steps) {
        if (step === "append") await this.#append(this.#key(base), rows, draft.operations);
        else await this.#read(step, this.#key(base), rows, draft.operations);
      }
      if (rollsBack) throw new RolledBack();
      await this.#end(draft, "unknown");
      draft.isComplete = true;
    };
    try {
      await db.transaction((tx) => body(tx.collection("lists")));
      if (draft) await this.#end(draft, "committed");
    } catch (e) {
      this.#note(e);
      if (draft && !(draft.isComplete && isUnknown(e))) await this.#end(draft, "aborted");
    }
  }

  /** A view: of now, or as this tab knows it. */
  #look(isFresh: boolean): Promise<void> {
    const steps = this.#draw();
    return this.#view(isFresh, async (rows, operations) => {
      for (const [step, base] of steps) await this.#read(step, this.#key(base), rows, operations);
    });
  }

  async #view(isFresh: boolean, reading: (rows: Readable, operations: Operation[]) => Promise<void>): Promise<void> {
    const draft = this.#begin(this.#terms.now());
    try {
      const view = await this.#terms.db.readView({ fresh: isFresh });
      await reading(view.collection("lists"), draft.operations).finally(() => view.release());
      await this.#end(draft, "committed", !isFresh);
    } catch (e) {
      if (codeOf(e) !== "READ_VIEW_EVICTED") this.#note(e); // a tab that slept is told, and reads nothing wrong
    }
  }

  /** What a transaction does: the same, whenever it runs again. */
  #draw(): readonly (readonly [Step, string])[] {
    const { random, keys } = this.#terms;
    const draw = (): readonly [Step, string] => [
      random.weighted<Step>([
        [4, "append"],
        [4, "read"],
        [2, "scan"],
        [1, "short"],
        [1, "long"],
        [1, "pause"],
      ]),
      `k${String(random.below(keys)).padStart(2, "0")}`,
    ];
    return Array.from({ length: 1 + random.below(5) }, draw);
  }

  /** The one of its keys that is in use, as far as this client knows. */
  #key(base: string): string {
    return `${base}/${String(this.#generations.get(base) ?? 0).padStart(4, "0")}`;
  }

  async #read(step: Step, key: string, rows: Readable, operations: Operation[]): Promise<void> {
    switch (step) {
      case "scan": {
        // Up to the keys that come after it, which are not there yet.
        const [from, to] = [key, `${baseOf(key)}~`];
        operations.push({ op: "scan", from, to, found: await found(rows.where().between(from, to)) });
        return undefined;
      }
      case "short":
        // Lists leave it as they grow.
        return lookByLength(rows, 1, maxLength / 3, operations);
      case "long":
        // What has come into it stays: so it is known of every key why it was not found.
        return lookByLength(rows, maxLength - 1, 2 * maxLength, operations);
      case "pause":
        return this.#terms.pause();
      default:
        operations.push({ op: "read", key, list: await listOf(rows, key) });
        return undefined;
    }
  }

  async #append(key: string, rows: Rows, operations: Operation[]): Promise<void> {
    const before = await listOf(rows, key);
    operations.push({ op: "read", key, list: before });
    const element = this.#terms.element();
    const list = [...before, element];
    await rows.put({ id: key, list, length: list.length });
    operations.push({ op: "append", key, element });
    if (list.length >= maxLength) this.#generations.set(baseOf(key), Number(key.split("/")[1]) + 1);
  }

  #begin(invokedAt: number): Draft {
    return { id: `${this.#terms.name}/${++this.#drafts}`, invokedAt, operations: [], isComplete: false };
  }

  /** Who only reads may read what his tab knows. */
  async #end(
    { id, invokedAt, operations }: Draft,
    outcome: Recorded["outcome"],
    isStale: boolean = operations.every(({ op }) => op !== "append"),
  ): Promise<void> {
    const { name, now, tell } = this.#terms;
    const completedAt = outcome === "unknown" ? Number.MAX_VALUE : now();
    await tell(id, { tab: name, invokedAt, completedAt, outcome, isStale, operations: [...operations] });
  }

  #note(e: unknown): void {
    if (e instanceof RolledBack) return;
    if (codeOf(e) !== "CONFLICT") this.failures.push(codeOf(e));
  }
}

const codeOf = (e: unknown): string => (e as { readonly code?: string }).code ?? String(e);

/** Where only the answer was lost. */
const isUnknown = (e: unknown): boolean => !(e instanceof RolledBack) && codeOf(e) !== "CONFLICT";

const baseOf = (key: string): string => key.slice(0, key.indexOf("/"));
const listOf = async (rows: Readable, key: string): Promise<List> => (await rows.get(key))?.list ?? [];

async function lookByLength(rows: Readable, from: number, to: number, operations: Operation[]): Promise<void> {
  operations.push({ op: "lengths", from, to, found: await found(rows.where("length").between(from, to)) });
}

async function found(query: { toArray(): Promise<Row[]> }): Promise<Found> {
  const rows = await query.toArray();
  return rows.map(({ id, list }) => [id, list] as const).sort(([a], [b]) => (a < b ? -1 : 1));
}
