import type { HostSurface, OpenRequest } from "./protocol/messages.ts";
import { errorOf } from "./client/connection.ts";
import { type HostLink, linkToWorker, makeWorker } from "./client/connectors.ts";
import { checkName, Database, type DatabaseOptions, type GivenStorage, isGiven } from "./client/database.ts";
import { SharedHosts } from "./client/shared-hosts.ts";
import type { Declarations } from "./client/types.ts";

export { isTidemarkError, TidemarkError } from "./base/errors.ts";
export type { ErrorCode, ErrorDetails } from "./base/errors.ts";
export { collection } from "./client/declare.ts";
export type { CollectionOptions } from "./client/declare.ts";
export { RetentionPolicy } from "./codec/retention.ts";
export type { Log, LogEntry } from "./client/advice.ts";
export type { UpgradeProgress } from "./client/building.ts";
export type { Changes, Collection, ReadableCollection } from "./client/collection.ts";
export type { ChangeSet, ChangesOptions, RecordChange } from "./client/changes.ts";
export type { Database, DatabaseOptions, DatabaseStorage, GivenStorage, ReadViewOptions } from "./client/database.ts";
export { describeGc } from "./client/describe-gc.ts";
export type { Gc, GcOptions, GcProofOptions } from "./client/gc.ts";
export type { GcJob } from "./client/gc-job.ts";
export type { Live, Observer, Subscription } from "./client/live.ts";
export type { Found } from "./client/find.ts";
export type { Query } from "./client/query.ts";
export type { Change, WritableQuery } from "./client/writable-query.ts";
export type { DatabaseEvents } from "./client/session.ts";
export type { Snapshots } from "./client/snapshots.ts";
export type { StandardIssue, StandardSchema } from "./client/standard.ts";
export type { TransferFormat } from "./client/transfer/formats.ts";
export type { ExportOptions, ImportOptions, ImportProgress, ImportReport } from "./client/transfer/options.ts";
export type { Transaction, TransactionOptions } from "./client/transaction.ts";
export type {
  AnyDeclaration,
  AutoId,
  CollectionDeclaration,
  Condition,
  Declarations,
  Filter,
  FindOptions,
  FindPlan,
  IndexKey,
  IndexSpec,
  IndexSpecs,
  InputOf,
  Key,
  KeyOf,
  Page,
  Patch,
  Path,
  PrimaryPath,
  QueryPlan,
  ReadOptions,
  RecordOf,
  RecordVersion,
  Sort,
} from "./client/types.ts";
export type { Migration, MigrationTransaction, Migrations, StoredCollection } from "./client/upgrade.ts";
export type { View } from "./client/view.ts";
export type { GenerationOptions } from "./codec/generations.ts";
export type {
  GcAdvance,
  GcEvent,
  GcExecution,
  GcExplanation,
  GcHeldBack,
  GcHolder,
  GcKind,
  GcProgress,
  GcProof,
  GcReport,
  GcRunOptions,
  GcStatus,
  HolderKind,
} from "./protocol/gc.ts";
export type { GcSettings } from "./protocol/gc-settings.ts";
export type { DamageReport, KeyReport, SnapshotReport, VerifyReport } from "./protocol/messages.ts";
export type { CollectionUsage, Metrics, SliceFigures, SliceSource, Spread, Usage } from "./protocol/metrics.ts";

/** Makes a database handle: synchronous, no I/O, safe to import on a server. @throws OPTIONS_INVALID */
export function createDatabase<const C extends Declarations>(options: DatabaseOptions<C>): Database<C> {
  const { locks } = (globalThis.navigator ?? {}) as Partial<Navigator>;
  const realm = locks ? { hosts, locks } : { hosts };
  return new Database(options, ({ worker, storage = "indexeddb" }) => linkToHost(worker, storage), realm);
}
/** Of this realm. */
const hosts = new SharedHosts();

/** `createDatabase`, opened. */
export function openDatabase<const C extends Declarations>(options: DatabaseOptions<C>): Promise<Database<C>> {
  return createDatabase(options).open();
}

interface PlaceOptions {
  readonly storage?: OpenRequest["storage"] | GivenStorage;
  readonly worker?: false | (() => Worker);
}

/** Deletes a database. Every tab that has it open gets `closed` with reason "deleted"; none can block it. */
export async function deleteDatabase(name: string, options: PlaceOptions = {}): Promise<void> {
  checkName(name);
  await withHost(options, async (host, storage) => {
    const done = await host.deleteDatabase(name, storage);
    if (!done.ok) throw errorOf(done.error);
  });
}

/** Those that this build can open, with their data versions. */
export function listDatabases(options: PlaceOptions = {}): Promise<readonly { name: string; version: number }[]> {
  return withHost(options, async (host, storage) => {
    const listed = await host.listDatabases(storage);
    if (!listed.ok) throw errorOf(listed.error);
    return listed.databases;
  });
}

async function withHost<T>(
  { storage = "indexeddb", worker }: PlaceOptions,
  use: (host: HostSurface, storage: OpenRequest["storage"]) => Promise<T>,
): Promise<T> {
  const link = await linkToHost(worker, storage);
  try {
    return await use(link.surface, isGiven(storage) ? "memory" : storage);
  } finally {
    link.dispose();
  }
}

async function linkToHost(
  worker: false | (() => Worker) | undefined,
  storage: OpenRequest["storage"] | GivenStorage,
): Promise<HostLink> {
  // Data kept in memory is this realm's, so its engine runs here too.
  if (worker === false || storage !== "indexeddb" || typeof Worker === "undefined") {
    const { linkInline } = await import("./inline.ts");
    return linkInline(isGiven(storage) ? storage : undefined);
  }
  const scriptUrl = worker ? () => "given by the worker option" : ownScriptUrl;
  return linkToWorker(makeWorker(worker ?? startOwnWorker, scriptUrl), scriptUrl);
}

// Bundlers find the worker by exactly this expression, and give it its own file. `new URL(…)` alone would be an asset.
const startOwnWorker = (): Worker =>
  new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "tidemark" });

/** Where bundlers put that file, for errors: the same expression, handed a constructor that starts nothing. */
function ownScriptUrl(): string {
  const urlOf = (Worker: UrlKeeper): string =>
    new Worker(new URL("./worker.js", import.meta.url), { type: "module" }).href;
  return urlOf(KeepsUrl);
}

type UrlKeeper = new (url: URL, options: WorkerOptions) => KeepsUrl;

class KeepsUrl {
  readonly href: string;

  constructor(url: URL) {
    this.href = url.href;
  }
}
