/** Commits on their way: what is asked, what is answered, and what a group of them keeps while it is judged. */
import { type ByteKey, type Seq, type Stamp, type TabId } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { keyEnd } from "../codec/key.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { indexEntriesOf, tablePrefixBytes, type Write } from "../codec/record.ts";
import type { Durability, Found, Write as RowWrite } from "../storage/contract.ts";
import { type Commit, entryChecksum, type LogEntry, unaccounted } from "../wal/entry.ts";
import type { Head } from "../wal/log.ts";
import type { Beside, Body } from "../wal/group-commit.ts";
import type { Staged } from "../wal/staging.ts";
import type { Memtable } from "./memtable.ts";
import type { ReadSet } from "./read-set.ts";
import type { Schema } from "./schema.ts";

export type Isolation = "serializable" | "snapshot";

export interface Basis {
  readonly seq: Seq;
  readonly reads: ReadSet;
  readonly isolation: Isolation;
  /** What it emptied by giving it up: every key there counts as written. */
  readonly emptied?: ReadSet;
  /** Of the log that was read: commits of another one do not count by their seqs. */
  readonly incarnation: number;
}

export interface CommitRequest {
  readonly writes: readonly Write[];
  readonly durability: Durability;
  readonly tag: string;
  /** What it read at which seq; absent for writes that depend on nothing. */
  readonly basis?: Basis;
  /** Epoch of the schema that its tables were named by. */
  readonly schemaEpoch: number;
  /** The schema that it writes, where its other writes already follow that one. */
  readonly brings?: Schema | undefined;
  /** Set where what it writes is decided inside the transaction that commits it; its schema does not matter then. */
  readonly inside?: Inside;
  /** What its writes refer to: published with it. Whoever staged it discards it where the commit fails. */
  readonly staged?: readonly Staged[];
  /** Its writes as a body that was staged ahead, should all their keys be new. */
  readonly ahead?: Body | undefined;
}

/** A commit of the engine's own: decided at the head, inside its transaction, and written with rows of its own. */
export interface Inside extends Beside {
  /** What it may write. */
  readonly keys: readonly ByteKey[];
  /** By what `reads` found; as often as the transaction is tried. `undefined`: it writes nothing, and there is no commit. */
  decide(found: readonly Found[], at: Position): Decided | undefined;
}
export interface Position {
  readonly seq: Seq;
  readonly stamp: Stamp;
}
export interface Decided {
  readonly writes: readonly Write[];
  readonly rows: readonly RowWrite[];
}

export interface CommitDone {
  readonly seq: Seq;
  readonly stamp: Stamp;
  /** Per write whether the key was there before. */
  readonly existed: readonly boolean[];
}

export interface Member {
  readonly request: CommitRequest;
  readonly id: number;
  /** What it decided last, where it decides inside the transaction. */
  decided?: { readonly writes: readonly Write[]; readonly stamp: Stamp };
  told: boolean;
  resolve(done: CommitDone): void;
  reject(error: unknown): void;
}

/** What members accepted so far will have written: judged as if it were committed. */
export interface GroupState {
  readonly memtable: Memtable;
  /** The keys each of them touches. */
  readonly touched: (readonly ByteKey[])[];
}

/** Whether the commit itself takes `entry`'s record away from it, by rewriting or deleting that record. */
export function releases(writes: readonly Write[], entry: ByteKey, claimant: ByteKey): boolean {
  const primary = entry.slice(keyEnd(entry, tablePrefixBytes));
  const record = claimant.slice(0, tablePrefixBytes) + primary;
  const write = writes.find((w) => w.key === record);
  if (write === undefined) return false;
  return write.payload === undefined || !indexEntriesOf(write.key, write.payload).includes(entry);
}

export function entryOf(
  bytes: Uint8Array,
  database: number,
  head: Head,
  origin: TabId,
  commits: readonly Commit[],
  body: OutsideRef | undefined,
  superseded: Uint8Array | undefined,
): LogEntry {
  const { seq: firstSeq } = commits[0]!;
  const { seq: lastSeq } = commits.at(-1)!;
  const { checksum: previous } = head;
  return {
    database,
    firstSeq,
    lastSeq,
    previous,
    checksum: entryChecksum(bytes),
    origin,
    sizeBytes: bytes.length + (body?.sizeBytes ?? 0),
    body,
    superseded,
    // What the entry leaves out nobody may know, not even who wrote it: all tabs count the same.
    commits: body && !superseded ? unaccounted(commits) : commits,
    isWhole: true,
  };
}

export function conflict(why: string, by: "self" | "other" | "schema"): TidemarkError {
  return new TidemarkError("CONFLICT", `The transaction could not commit: ${why}`, { by });
}

export interface Failure {
  readonly position: number;
  readonly constraint: "key" | "unique";
  /** What stands in the way: a record or an index entry. */
  readonly taken: ByteKey;
}

export function constraint(failures: readonly Failure[], writes: readonly Write[], schema: Schema): TidemarkError {
  const [first] = failures;
  const { constraint: what, taken, position } = first!;
  const where = schema.describe(taken);
  const message =
    what === "key"
      ? `A record with this key is already in '${where.collection}'`
      : `Another record of '${where.collection}' already has this value in the unique index '${where.index}'`;
  return new TidemarkError("CONSTRAINT", message, {
    ...where,
    constraint: what,
    ...(what === "unique" ? { indexKey: where.key } : {}),
    key: schema.describe(writes[position]!.key).key,
    failures: failures.map((f) => ({
      position: f.position,
      key: schema.describe(writes[f.position]!.key).key,
      code: "CONSTRAINT",
    })),
  });
}

/** Who can do all of it again, does. */
export const stagedIsGone = (): TidemarkError => conflict("what it had stored so far is gone", "other");

export function outcomeUnknown(): TidemarkError {
  return new TidemarkError("STORAGE_LOST", "The log changed under this commit; whether it counts cannot be told", {
    outcome: "unknown",
  });
}

/** Whatever became of the others: what this member asked for was not in their entry. */
export function notWritten(error: unknown): unknown {
  if (!isTidemarkError(error, "STORAGE_LOST")) return error;
  return new TidemarkError(error.code, error.message, { ...error.details, outcome: "none" }, error);
}

export function tell(member: Member, done: CommitDone): void {
  if (member.told) return;
  member.told = true;
  member.resolve(done);
}

export function refuse(member: Member, error: unknown): void {
  if (member.told) return;
  member.told = true;
  member.reject(error);
}
