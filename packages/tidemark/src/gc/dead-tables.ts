/**
 * Tables that collections left behind when they were cleared or dropped, and that nobody can look at any more: they are
 * below the `nextTable` of the catalog visible at the floor, and not live in it. The proof is at `liveTables`
 * (mvcc/schema.ts). Their numbers lie in the gaps between those of live tables, so there are never many stretches.
 */
import { type Seq, seq, type TableId, tableId } from "../base/brand.ts";
import type { Catalog } from "../codec/schema.ts";
import { Reader } from "../mvcc/reader.ts";
import { catalogAt, liveTables } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";

/** Tables t with from ≤ t < to. */
export interface Stretch {
  readonly from: TableId;
  readonly to: TableId;
}

export function deadIn(atFloor: Catalog): readonly Stretch[] {
  const live = [...liveTables(atFloor)].toSorted((a, b) => a - b);
  return live.flatMap((table, i) => {
    const from = tableId(table + 1);
    const to = live[i + 1] ?? tableId(atFloor.nextTable);
    return from < to ? [{ from, to }] : [];
  });
}

/**
 * What is dead for a swap under `floor` that publishes the fence `fence`. Above that, the log may still be struck, and
 * a clearing with it; so it is the catalog at the lower of the two that counts.
 */
export async function deadTables(store: Store, floor: Seq, fence: Seq): Promise<readonly Stretch[]> {
  return deadIn(await catalogAt(new Reader(store), seq(Math.min(floor, fence))));
}

export const isIn = (stretches: readonly Stretch[], table: TableId): boolean =>
  stretches.some(({ from, to }) => from <= table && table < to);
