/**
 * What is done as a database opens, before any call: a new one is filled, the records of an older one are migrated. That
 * is one transaction, in which the schema changes too; whose commit comes first counts, and other tabs that tried as well
 * find it done. What is migrated record by record goes in slices: see collections/moving.ts.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { unpackValues } from "../codec/values.ts";
import { Collection, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import { RecordBatch } from "./records.ts";
import { collectionIn } from "./schema.ts";
import type { Session } from "./session.ts";
import { didYouMean } from "../base/suggest.ts";
import { runTransaction, Transaction, type TransactionSource } from "./transaction.ts";
import type { CollectionDeclaration, Declarations } from "./types.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- records of any program there ever was
export type StoredCollection = Collection<CollectionDeclaration<any, any, any, any>>;

/** What a migration is given: every collection there is, declared or not, with its records as they are stored. */
export class MigrationTransaction {
  /** 0 on the first run. */
  readonly attempt: number;
  readonly #catalog: Catalog;
  readonly #source: TransactionSource;
  readonly #sink: Sink;

  constructor(catalog: Catalog, source: TransactionSource, sink: Sink, attempt: number) {
    this.#catalog = catalog;
    this.#source = source;
    this.#sink = sink;
    this.attempt = attempt;
  }

  /** Names of all collections, those that are to be dropped included. */
  get collections(): readonly string[] {
    return Object.keys(this.#catalog.collections);
  }

  /** Records go in and out as they are: no schema validates them. @throws UNKNOWN_NAME */
  collection(name: string): StoredCollection {
    if (!this.collections.includes(name)) {
      const message = `There is no collection '${name}'${didYouMean(name, this.collections)}`;
      throw new TidemarkError("UNKNOWN_NAME", message, { collection: name });
    }
    const { key, indexes: stored } = collectionIn(this.#catalog, name);
    const definitions = Object.entries(stored).map(([index, { path, unique, multi }]) => [
      index,
      { path, unique, multi },
    ]);
    const indexes = Object.fromEntries(definitions) as Readonly<Record<string, unknown>>;
    return new Collection(name, { key, indexes }, this.#source, this.#sink);
  }
}

/** In one transaction; it may run again, so it has no side effects. */
type Transacted = (tx: MigrationTransaction) => Promise<void>;
/**
 * Record by record, however many there are: in slices with a durable cursor, each in one tab at a time. What `each`
 * makes of a record takes its place; where that is `undefined`, the record goes. While it goes on tabs of an older
 * version may read, and not write.
 */
export interface EachRecord {
  readonly collection: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- of any program there ever was
  readonly each: (record: any) => unknown;
}
/** How records of the version before become those of this one. */
export type Migration = Transacted | EachRecord;
export type Migrations = Readonly<Record<number, Migration>>;

export interface Upgrade {
  readonly version: number;
  readonly collections: Declarations;
  readonly migrations: Migrations;
  readonly seed: ((tx: Transaction<Declarations>) => Promise<void>) | undefined;
}

/** @throws MIGRATION_FAILED; the database is what it was before the version named */
export async function runUpgrade(session: Session, connection: Connection, upgrade: Upgrade): Promise<void> {
  const run = new Run(session, connection, upgrade);
  await run.all();
}

export type RunUpgrade = typeof runUpgrade;

interface Step<M> {
  readonly to: number;
  readonly migrate: M;
}

class Run {
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #upgrade: Upgrade;

  constructor(session: Session, connection: Connection, upgrade: Upgrade) {
    this.#session = session;
    this.#connection = connection;
    this.#upgrade = upgrade;
  }

  async all(): Promise<void> {
    const { migrations, version } = this.#upgrade;
    const { epoch, version: from } = this.#session.catalog;
    let together: Step<Transacted>[] = [];
    const steps = epoch === 0 ? [] : Object.entries(migrations);
    for (const [key, migrate] of steps.toSorted(([a], [b]) => Number(a) - Number(b))) {
      const to = Number(key);
      if (to <= from) continue;
      if (typeof migrate === "function") together.push({ to, migrate });
      else {
        await this.#transact(together, to - 1, false);
        together = [];
        await this.#eachOf(to, migrate);
      }
    }
    await this.#transact(together, version, true);
  }

  /** Steps that follow on one another are one transaction. */
  async #transact(steps: readonly Step<Transacted>[], version: number, isLast: boolean): Promise<void> {
    const { collections, seed } = this.#upgrade;
    if (steps.length === 0 && !isLast) return;
    const options = { durability: "strict", tag: "schema" } as const;
    await runTransaction(this.#session, this.#connection.present, options, async (source, sink, attempt) => {
      const { handle } = source;
      const define = async (drops: boolean): Promise<{ readonly catalog: Catalog; readonly from: number }> => {
        const answer = await source.connection.call<"define">({ op: "define", handle, version, drops });
        source.hear(answer.catalog);
        source.hasWritten = true;
        return answer;
      };
      const { catalog, from } = await define(false);
      if (from === 0) {
        await failing(0, version, async () => seed?.(new Transaction(collections, source, sink, attempt)));
      } else {
        const tx = new MigrationTransaction(catalog, source, sink, attempt);
        for (const { to, migrate } of steps) if (to > from) await failing(from, to, () => migrate(tx));
      }
      if (isLast) await define(true);
    }).catch((e: unknown): never => {
      throw failureOf(this.#session.catalog.version, version, e);
    });
  }

  async #eachOf(version: number, { collection, each }: EachRecord): Promise<void> {
    const from = this.#session.catalog.version;
    try {
      await this.#connection.present.call<"move-begin">({ op: "move-begin", version, collection });
      while (await this.#slice(version, collection, each));
    } catch (e) {
      const failure = failureOf(from, version, e);
      if (isTidemarkError(failure, "MIGRATION_FAILED")) {
        await this.#connection.present.call<"move-cancel">({ op: "move-cancel", version });
      }
      throw failure;
    }
  }

  /** False: there are no more. */
  async #slice(version: number, collection: string, each: EachRecord["each"]): Promise<boolean> {
    const connection = this.#connection.present;
    const slice = await connection.call<"move-read">({ op: "move-read", version });
    if (!slice) return false;
    const { values, into, ...cursor } = slice;
    const records: unknown[] = [];
    for (const record of unpackValues(values)) {
      const next = await each(record);
      if (next !== undefined) records.push(next);
    }
    const batch = RecordBatch.of(collection, "add", records);
    if (batch.hasSmallBlobs) await batch.readBlobs();
    try {
      await connection.call<"move-write">({ op: "move-write", version, ...batch.writes(into), ...cursor });
      const { done, total, last } = cursor;
      this.#session.tellUpgrade({
        collection,
        version,
        done,
        total: last === undefined ? done : Math.max(total, done + 1),
      });
      return last !== undefined;
    } catch (e) {
      if (isTidemarkError(e, "CONFLICT")) return true; // another tab was faster
      throw e;
    }
  }
}

async function failing(from: number, to: number, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (e) {
    throw failureOf(from, to, e);
  }
}

/** Not the migration's doing: it may be tried again. */
const others: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CLOSED",
  "CORRUPT",
  "ENVIRONMENT",
  "FORMAT_UNSUPPORTED",
  "MIGRATION_FAILED",
  "OPTIONS_INVALID",
  "QUOTA_EXCEEDED",
  "READ_VIEW_EVICTED",
  "SCHEMA_OUTDATED",
  "STORAGE_LOST",
]);

function failureOf(from: number, version: number, e: unknown): unknown {
  if (isTidemarkError(e) && others.has(e.code)) return e;
  const what = from === 0 ? "Filling the new database" : `The migration to version ${version}`;
  const why = e instanceof Error ? e.message : String(e);
  const message = `${what} failed, and nothing was changed: ${why}`;
  return new TidemarkError("MIGRATION_FAILED", message, { version, from, cause: why }, e);
}
