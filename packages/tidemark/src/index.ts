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
export type { Diagnostics, LiveDiagnostics, Reported } from "./client/diagnostics.ts";
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
export type {
  CollectionUsage,
  LevelUsage,
  Metrics,
  SliceFigures,
  SliceSource,
  Spread,
  Usage,
} from "./protocol/metrics.ts";
export { openDatabase } from "./opening.ts";
export { createDatabase, deleteDatabase, listDatabases } from "./realm.ts";
