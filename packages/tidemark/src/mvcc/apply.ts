import type { ByteKey } from "../base/brand.ts";
import { indexEntriesOf, presence } from "../codec/record.ts";
import type { Commit, LoggedWrite } from "../wal/entry.ts";
import type { Memtable } from "./memtable.ts";

const none: readonly ByteKey[] = [];

/**
 * Puts a commit's versions into a memtable, those of its index entries included. Returns every key it touches: index
 * entries that stay count too, since who read a range of them read the record behind them.
 */
export function applyCommit(memtable: Memtable, { seq, stamp, writes }: Commit): readonly ByteKey[] {
  const touched: ByteKey[] = [];
  for (const write of writes) {
    memtable.put(write.key, { seq, stamp, payload: write.payload });
    touched.push(write.key);
    const { now, old } = entriesOf(write);
    if (old.length === 0) {
      for (const key of now) {
        memtable.put(key, { seq, stamp, payload: presence });
        touched.push(key);
      }
      continue;
    }
    for (const key of now) {
      if (!old.includes(key)) memtable.put(key, { seq, stamp, payload: presence });
      touched.push(key);
    }
    for (const key of old) {
      if (now.includes(key)) continue;
      memtable.put(key, { seq, stamp, payload: undefined });
      touched.push(key);
    }
  }
  return touched;
}

const entriesOf = ({
  key,
  payload,
  oldEntries,
}: LoggedWrite): { now: readonly ByteKey[]; old: readonly ByteKey[] } => ({
  now: payload === undefined ? none : indexEntriesOf(key, payload),
  old: oldEntries,
});
