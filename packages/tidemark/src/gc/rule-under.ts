/** The rule that a piece of upkeep goes by: who may read, as was durably decided, and what the collections retain. */
import type { Seq } from "../base/brand.ts";
import { bothOf } from "../codec/retention.ts";
import { Reader } from "../mvcc/reader.ts";
import { catalogAt, systemTable } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { Readable, Rule } from "../segments/rule.ts";
import { judgedAtMs, type Retentions } from "./keepers.ts";

/** The last advances of the floor are kept, to say how it came to be where it is (VG13); of catalogs as many, by the way. */
export const keptAdvances = 100;

/** Retention is that of the catalog at the checkpoint: what each collection declares, and what is declared for all. */
export async function retentionsAt(store: Store, checkpoint: Seq): Promise<Retentions> {
  const { collections, keepForMs: forMs } = await catalogAt(new Reader(store), checkpoint);
  const declared = Object.values(collections).flatMap(({ table, retention, builds = 0 }) => {
    const own = retention?.latest === undefined ? retention : { ...retention, latest: retention.latest + builds };
    const kept = forMs === undefined ? own : bothOf(own ?? {}, { forMs });
    return kept ? [[table, kept] as const] : [];
  });
  return [[systemTable, { latest: keptAdvances }], ...declared];
}

/** `checkpoint`: durable with what is decided. */
export function ruleUnder(readable: Readable, checkpoint: Seq, retentions: Retentions): Rule {
  const of = new Map(retentions);
  return { ...readable, nowMs: judgedAtMs(readable.nowMs), checkpoint, retentionOf: (table) => of.get(table) };
}
