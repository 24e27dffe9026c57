/**
 * By which schema calls name tables. A call speaks the catalog that the page knows; where the worker has another one for
 * what the call reads or writes, it refuses it. Then nothing further is called until all calls under way have met their
 * fate, the catalog is fetched, and the refused calls are made again in their order: none ever overtakes another.
 * The next worker, where one dies, begins with the stored catalog, which may be another one: what goes on to it from the
 * dead one is refused and made again in the same way. Views and transactions have ended by then, and their calls with them.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog, StoredCollection } from "../codec/schema.ts";
import type { Connection } from "./connection.ts";
import type { Line } from "./line.ts";

/** Part of a call that names tables by `schema`. Where that is refused, it runs again with another one. */
export type SchemaStep<T> = (schema: Catalog) => Promise<T>;

/** So often one call is made again. */
const maxRepeats = 10;

/** @throws UNKNOWN_NAME where there is none: it is declared, but a newer program dropped it. */
export function collectionIn({ collections }: Catalog, name: string): StoredCollection {
  if (Object.hasOwn(collections, name)) return collections[name]!;
  throw new TidemarkError("UNKNOWN_NAME", `There is no collection '${name}' any more`, { collection: name });
}

interface Call {
  readonly connection: Connection;
  /** In the order of calls. */
  readonly position: number;
  repeats: number;
}

/** A call that waits to be made again. */
interface Refused {
  readonly call: Call;
  again(schema: Catalog): void;
  reject(error: unknown): void;
}

/** Calls on the head (handle 0), or on one view or transaction, all in one line. */
export class SchemaCalls {
  readonly #line: Line;
  readonly #handle: number;
  #spoken: Catalog | undefined;
  /** A newer one: spoken from when no call is under way that would be refused. */
  #heard: Catalog | undefined;
  #underWay = 0;
  /** Called when none is under way any more. */
  #waking: (() => void)[] = [];
  #refused: Refused[] = [];
  #repeating: Promise<void> | undefined;
  #calls = 0;

  constructor(line: Line, handle: number, catalog?: Catalog) {
    this.#line = line;
    this.#handle = handle;
    this.#heard = catalog;
  }

  /** Accepts only a newer schema: messages about it may overtake one another. */
  hear(catalog: Catalog): void {
    if (!this.#heard || catalog.epoch > this.#heard.epoch) this.#heard = catalog;
  }

  /** What a call made now speaks. */
  get catalog(): Catalog {
    if (this.#underWay === 0 && !this.#repeating) this.#spoken = this.#heard;
    if (!this.#spoken) throw new TidemarkError("INTERNAL", "The database is not open yet");
    return this.#spoken;
  }

  async run<T>(connection: Connection, step: SchemaStep<T>): Promise<T> {
    const call: Call = { connection, position: this.#calls++, repeats: 0 };
    for (let schema = this.catalog, isFirst = true; ; isFirst = false) {
      if (isFirst) this.#underWay++; // else who makes it again has counted it
      let again: Promise<Catalog>;
      try {
        return await step(schema);
      } catch (e) {
        if (!isRefusal(e, call)) throw e;
        again = this.#toBeMadeAgain(call);
      } finally {
        if (--this.#underWay === 0) for (const wake of this.#waking.splice(0)) wake();
      }
      schema = await again;
    }
  }

  /** Runs `step` when the fate of the calls made before is known; what is called later waits until it has begun. */
  async afterCalls<T>(step: () => Promise<T>): Promise<T> {
    if (this.#underWay === 0 && !this.#repeating) return step();
    const { begun } = await this.#line.holdNow(async () => {
      while (this.#underWay > 0 || this.#repeating) await Promise.all([this.#repeating, this.#fates()]);
      const work = step();
      work.catch(() => undefined); // told to who awaits it, below
      return { begun: work };
    });
    return begun;
  }

  #toBeMadeAgain(call: Call): Promise<Catalog> {
    const again = new Promise<Catalog>((resolve, reject) => {
      this.#refused.push({ call, again: resolve, reject });
    });
    this.#repeating ??= this.#line.holdNow(() => this.#repeat());
    return again;
  }

  async #repeat(): Promise<void> {
    while (this.#refused.length > 0) {
      await this.#fates();
      const refused = this.#refused.toSorted((a, b) => a.call.position - b.call.position);
      this.#refused = [];
      await this.#fetchAndMake(refused);
      await this.#fates();
    }
    this.#repeating = undefined;
  }

  async #fetchAndMake(refused: readonly Refused[]): Promise<void> {
    try {
      // The worker's word counts even where it is an older one: the end of the log may have been struck.
      const { connection } = refused[0]!.call;
      const catalog = await connection.call<"catalog">({ op: "catalog", handle: this.#handle });
      this.#spoken = this.#heard = catalog;
      for (const r of refused) {
        r.call.repeats++;
        this.#underWay++;
        r.again(catalog);
      }
    } catch (e) {
      for (const r of refused) r.reject(e);
    }
  }

  async #fates(): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>((wake) => this.#waking.push(wake));
  }
}

const isRefusal = (e: unknown, { repeats }: Call): boolean =>
  isTidemarkError(e, "CONFLICT") && e.details["by"] === "schema" && repeats < maxRepeats;
