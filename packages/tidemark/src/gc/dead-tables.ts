/**
 * Tables that collections left behind when they were cleared or dropped, and that nobody can look at any more: they are
 * below the `nextTable` of the catalog visible at the floor, and not live in it. The proof is at `liveTables`
 * (mvcc/schema.ts). Their numbers lie in the gaps between those of live tables, so there are never many stretches.
 */
import { type Seq, seq, type TableId, tableId } from "../base/brand.ts";
import { fields, type Form, whole } from "../codec/form.ts";
import type { Catalog } from "../codec/schema.ts";
import { Reader } from "../mvcc/reader.ts";
import { catalogAt, liveTables } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { Readable } from "../segments/rule.ts";

/** Tables t with from ≤ t < to. */
export interface Stretch {
  readonly from: TableId;
  readonly to: TableId;
}

/** As stored. */
export const stretch: Form<Stretch> = fields<Stretch>({ from: whole, to: whole });

/** `atFloor`: the catalog visible there; `seen`: those that points below the floor read by. */
export function deadIn(atFloor: Catalog, seen: readonly Catalog[] = []): readonly Stretch[] {
  const all = new Set([atFloor, ...seen].flatMap((catalog) => [...liveTables(catalog)]));
  const live = [...all].toSorted((a, b) => a - b);
  return live.flatMap((table, i) => {
    const from = tableId(table + 1);
    const to = tableId(Math.min(live[i + 1] ?? atFloor.nextTable, atFloor.nextTable));
    return from < to ? [{ from, to }] : [];
  });
}

/**
 * What is dead for a swap that publishes the fence `fence`. Above that, the log may still be struck, and a clearing with
 * it; so it is the catalog at the lower of floor and fence that counts, and those of the points below it.
 */
export async function deadTables(store: Store, { floor, points }: Readable, fence: Seq): Promise<readonly Stretch[]> {
  const reader = new Reader(store);
  const at = seq(Math.min(floor, fence));
  const below = points.filter((point) => point < at);
  const [atFloor, ...seen] = await Promise.all([at, ...below].map((s) => catalogAt(reader, s)));
  return deadIn(atFloor!, seen);
}

export const isIn = (stretches: readonly Stretch[], table: TableId): boolean =>
  stretches.some(({ from, to }) => from <= table && table < to);
