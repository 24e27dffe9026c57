import { type ByteKey, type Seq, seq } from "../base/brand.ts";
import { indexEntriesOf, presence, tableOf } from "../codec/record.ts";
import { versionBytes } from "../segments/version.ts";
import type { Commit, LoggedWrite } from "../wal/entry.ts";
import { type GarbageLedger, unknownSeq } from "./ledger.ts";
import { buildWriteIn } from "./build-state.ts";
import type { Memtable } from "./memtable.ts";
import { systemTable } from "./schema.ts";

const none: readonly ByteKey[] = [];

/**
 * Puts a commit's versions into a memtable, those of its index entries included. Returns every key it touches: index
 * entries that stay count too, since who read a range of them read the record behind them. Where an index is built no
 * record changes, and none counts. A `ledger` is told what it supersedes.
 */
export function applyCommit(memtable: Memtable, commit: Commit, ledger?: GarbageLedger): readonly ByteKey[] {
  const { seq: at, stamp, writes } = commit;
  const touched: ByteKey[] = [];
  for (const write of writes) {
    const { key, payload, supersedes } = write;
    const isFirst = memtable.put(key, { seq: at, stamp, payload, supersedes });
    if (ledger && isFirst) account(ledger, write, at);
    touched.push(key);
    const { now, old } = entriesOf(write);
    if (old.length === 0) {
      for (const entry of now) {
        memtable.put(entry, { seq: at, stamp, payload: presence, supersedes: nothing });
        touched.push(entry);
      }
      continue;
    }
    for (const entry of now) {
      if (!old.includes(entry)) memtable.put(entry, { seq: at, stamp, payload: presence, supersedes: nothing });
      touched.push(entry);
    }
    for (const entry of old) {
      if (now.includes(entry)) continue;
      // It ends one that was there, nobody knows since when.
      const isFirstEnd = memtable.put(entry, { seq: at, stamp, payload: undefined, supersedes: undefined });
      if (isFirstEnd) ledger?.supersede(unknownSeq, at, versionBytes(entry, presence), tableOf(entry));
      touched.push(entry);
    }
  }
  const build = buildWriteIn(commit);
  return build ? writes.flatMap(({ key }) => (tableOf(key) === systemTable ? [key] : [])) : touched;
}

/** The same of its records only. */
export function applyRecords(memtable: Memtable, { seq: at, stamp, writes }: Commit): void {
  for (const { key, payload, supersedes } of writes) memtable.put(key, { seq: at, stamp, payload, supersedes });
}

/** No version that anybody can see lies below an index entry that comes. */
const nothing = seq(0);

function account(ledger: GarbageLedger, { key, supersedes, supersededBytes }: LoggedWrite, at: Seq): void {
  if (supersedes === nothing) return;
  // A payload is never empty, so what was no larger than its key was a tombstone.
  if (supersededBytes !== undefined && supersededBytes <= key.length) return;
  const table = tableOf(key);
  if (table === systemTable) return;
  if (supersedes === undefined || supersededBytes === undefined) ledger.supersedeUnknown(at);
  else ledger.supersede(supersedes, at, supersededBytes, table);
}

const entriesOf = ({
  key,
  payload,
  oldEntries,
}: LoggedWrite): { now: readonly ByteKey[]; old: readonly ByteKey[] } => ({
  now: payload === undefined ? none : indexEntriesOf(key, payload),
  old: oldEntries,
});
