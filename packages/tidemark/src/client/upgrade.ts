/**
 * What is done as a database opens, before any call: a new one is filled, the records of an older one are migrated. Each
 * of these is one transaction, in which the schema changes too; whose commit comes first counts, and other tabs that
 * tried as well find it done.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { Collection, type Sink } from "./collection.ts";
import type { Connection } from "./connection.ts";
import { collectionIn } from "./schema.ts";
import type { Session } from "./session.ts";
import { didYouMean } from "./suggest.ts";
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
    const { key, indexes } = collectionIn(this.#catalog, name);
    return new Collection(name, { key, indexes }, this.#source, this.#sink);
  }
}

/** Changes records of the version before to what they are in this one; it may run again, so it has no side effects. */
export type Migration = (tx: MigrationTransaction) => Promise<void>;
export type Migrations = Readonly<Record<number, Migration>>;

export interface Upgrade {
  readonly version: number;
  readonly collections: Declarations;
  readonly migrations: Migrations;
  readonly seed: ((tx: Transaction<Declarations>) => Promise<void>) | undefined;
}

/** @throws MIGRATION_FAILED; the database is what it was */
export async function runUpgrade(session: Session, connection: Connection, upgrade: Upgrade): Promise<void> {
  const { version, collections, seed } = upgrade;
  const options = { durability: "strict", tag: "schema" } as const;
  await runTransaction(session, connection, options, async (source, sink, attempt) => {
    const define = async (drops: boolean): Promise<{ readonly catalog: Catalog; readonly from: number }> => {
      const { handle } = source;
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
      for (const [to, migrate] of stepsOf(upgrade, from)) await failing(from, to, () => migrate(tx));
    }
    await define(true);
  }).catch((e: unknown): never => {
    throw failureOf(0, version, e);
  });
}

/** In the order of their versions. */
const stepsOf = ({ migrations, version }: Upgrade, from: number): readonly (readonly [number, Migration])[] =>
  Object.entries(migrations)
    .map(([to, migrate]) => [Number(to), migrate] as const)
    .filter(([to]) => to > from && to <= version)
    .toSorted(([a], [b]) => a - b);

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
