/**
 * What keeps single versions, whatever the floor: points, and retention. A version that one of them keeps is looked at
 * again only when something that kept versions is gone. So it is written down what did, since a full cycle last looked:
 * whoever publishes blocks that hold such versions adds it in the same transaction. With it stands which dead tables a
 * full cycle has been through: no key of theirs is left, and none will come again.
 *
 * Steps of compaction move blocks that a cycle still has to look at to where it has been. After those the cycle that
 * ends has not seen everything, and what was written down before it stays.
 */
import type { TableId } from "../base/brand.ts";
import { fields, flag, listOf, text } from "../codec/form.ts";
import type { Retention } from "../codec/retention.ts";
import type { Readable } from "../segments/rule.ts";
import { type Found, get, type Read, type Write } from "../storage/contract.ts";
import { type Stretch, stretch } from "./dead-tables.ts";
import { jsonIn, putJson } from "./journal.ts";

export type Retentions = readonly (readonly [TableId, Retention])[];

interface Keepers {
  /** Each in a word of its own: see `keepersOf`. */
  readonly kept: readonly string[];
  /** Those since the full cycle began that is under way, or began last. */
  readonly since: readonly string[];
  readonly isDisturbed: boolean;
  readonly dead: readonly Stretch[];
}

const key = "gc/keepers";
export const readKeepers: Read = get("meta", key);
const put = (keepers: Keepers): Write => putJson(key, keepers);
const form = fields<Keepers>({ kept: listOf(text), since: listOf(text), isDisturbed: flag, dead: listOf(stretch) });
/** Damaged, they are as good as absent: the next full cycle looks at everything. */
const keepersIn = (found: Found | undefined): Keepers | undefined => jsonIn(found, "what kept versions", form)[0];

const hourMs = 3_600_000;
/** Stands for whatever kept versions before anybody wrote that down. */
const unknown = "?";

/** Retention by age is judged as of the last full hour, so between two hours time alone changes nothing, wherever one looks. */
export const judgedAtMs = (nowMs: number): number => nowMs - (nowMs % hourMs);

/** What keeps versions now. */
export function keepersOf({ points, nowMs }: Readable, retentions: Retentions): readonly string[] {
  const isTimed = retentions.some(([, { forMs = 0 }]) => forMs > 0);
  return [
    ...points.map((p) => `at ${p}`),
    ...retentions.map(([table, retention]) => `${table}: ${JSON.stringify(retention)}`),
    ...(isTimed ? [`hour ${judgedAtMs(nowMs) / hourMs}`] : []),
  ];
}

const union = <T>(...lists: readonly (readonly T[])[]): readonly T[] => [...new Set(lists.flat())];

/** Whether something that kept versions keeps them no more. */
export function isAnyReleased(found: Found | undefined, now: readonly string[]): boolean {
  const former = keepersIn(found);
  return !former || union(former.kept, former.since).some((keeper) => !now.includes(keeper));
}

/** Of these dead tables those that no full cycle has been through. */
export function newlyDead(found: Found | undefined, dead: readonly Stretch[]): readonly Stretch[] {
  const through = keepersIn(found)?.dead ?? [];
  return dead.filter(({ from, to }) => !through.some((done) => done.from <= from && to <= done.to));
}

/** For a transaction that publishes blocks with versions that one of `now` keeps, or, if it `disturbs`, moves such. */
export function noted(found: Found | undefined, now: readonly string[], disturbs: boolean): readonly Write[] {
  const keepers = keepersIn(found);
  if (!keepers) return [];
  const since = union(keepers.since, now);
  const isDisturbed = keepers.isDisturbed || disturbs;
  const isNews = since.length > keepers.since.length || isDisturbed !== keepers.isDisturbed;
  return isNews ? [put({ ...keepers, since, isDisturbed })] : [];
}

/** For the transaction that begins a full cycle. */
export function begun(found: Found | undefined): Write {
  const { kept, since, dead } = keepersIn(found) ?? { kept: [unknown], since: [], dead: [] };
  return put({ kept: union(kept, since), since: [], isDisturbed: false, dead });
}

/** For the transaction that ends a full cycle, which looked at everything under these keepers and dead tables. */
export function ended(found: Found | undefined, under: readonly string[], dead: readonly Stretch[]): readonly Write[] {
  const keepers = keepersIn(found);
  if (!keepers || keepers.isDisturbed) return [];
  return [put({ kept: under, since: keepers.since, isDisturbed: false, dead })];
}
