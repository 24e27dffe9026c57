/** The rule that a piece of upkeep goes by: who may read, as was durably decided, and what the collections retain. */
import type { Seq, TableId } from "../base/brand.ts";
import type { Retention } from "../codec/retention.ts";
import { Reader } from "../mvcc/reader.ts";
import { catalogAt, systemTable } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { Readable, Rule } from "../segments/rule.ts";

/** The last advances of the floor are kept, to say how it came to be where it is (VG13); of catalogs as many, by the way. */
export const keptAdvances = 100;

/** `checkpoint`: durable with what is decided. Retention is that of the catalog there. */
export async function ruleUnder(store: Store, readable: Readable, checkpoint: Seq): Promise<Rule> {
  const { collections } = await catalogAt(new Reader(store), checkpoint);
  const retentions = new Map<TableId, Retention>([[systemTable, { latest: keptAdvances }]]);
  for (const { table, retention } of Object.values(collections)) if (retention) retentions.set(table, retention);
  return { ...readable, checkpoint, retentionOf: (table) => retentions.get(table) };
}
