/**
 * Which versions stay after a full run, said by the definition alone: from what the log says was committed, who may
 * still read, and what is retained.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import type { ByteKey } from "./base/brand.ts";
import { tableOf } from "./codec/record.ts";
import type { Catalog } from "./codec/schema.ts";
import type { Basis } from "./gc/journal.ts";
import type { Chains } from "./testing/verifier-log.ts";
import type { Verifier } from "./testing/verifier.ts";

type Seqs = readonly number[];

/** What is stored is exactly that. */
export function checkExact(verifier: Verifier, basis: Basis): void {
  const { chains } = verifier;
  const stored = verifier.stored();
  const below = basis.points.filter((p) => p < basis.floor);
  const catalogs = [basis.floor, ...below].map((r) => chains.catalogAt(r));
  const expected = new Map<ByteKey, Seqs>();
  for (const key of chains.keys()) {
    const stays = expectedOf(chains, key, basis, catalogs);
    if (stays.length > 0) expected.set(key, stays);
  }
  const context = JSON.stringify(basis);
  const sorted = (all: ReadonlyMap<ByteKey, Seqs>): readonly string[] =>
    [...all]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, seqs]) => [key, withoutEnded(chains, key, seqs, basis.floor)] as const)
      .flatMap(([key, seqs]) => (seqs.length > 0 ? `${shown(key)}: ${seqs.join()}` : []));
  deepStrictEqual(sorted(stored), sorted(expected), context);
  for (const [key, seqs] of stored) {
    for (const c of seqs)
      ok(expected.get(key)?.includes(c) ?? seqs.length > 1, `${shown(key)} at ${c} stays: ${context}`);
  }
}

/**
 * A deletion that hides nothing may have gone before the key came back: then it was the newest, and below the floor.
 * Or else it stays for as long as a reader is between it and that.
 */
function withoutEnded(chains: Chains, key: ByteKey, seqs: Seqs, floor: number): Seqs {
  const isDeletion = (at: number): boolean => chains.of(key).find(({ seq: c }) => c === at)?.payload === undefined;
  const from = seqs.findIndex((c, i) => !isDeletion(c) || (i === seqs.length - 1 && c >= floor));
  return from < 0 ? [] : seqs.slice(from);
}

function expectedOf(chains: Chains, key: ByteKey, { floor, points, nowMs }: Basis, catalogs: readonly Catalog[]): Seqs {
  const table = tableOf(key);
  const isNamed = catalogs.some(({ collections }) =>
    Object.values(collections).some(
      (c) => c.table === table || Object.values(c.indexes).some((i) => i.table === table),
    ),
  );
  if (table !== 0 && table < catalogs[0]!.nextTable && !isNamed) return [];
  const { collections, keepForMs = 0 } = chains.catalogAt(Number.MAX_SAFE_INTEGER);
  const ofRecords = Object.values(collections).find((c) => c.table === table);
  const { latest = 0, ranges = [], forMs: own = 0 } = (table === 0 ? { latest: 100 } : ofRecords?.retention) ?? {};
  const forMs = Math.max(own, ofRecords ? keepForMs : 0);
  const fullHour = Math.floor(nowMs / 3_600_000) * 3_600_000;
  const chain = chains.of(key);
  const stays = chain.filter(({ seq: c }, i) => {
    const next = chain[i + 1];
    if (!next || next.seq > floor) return true;
    const end = next.seq;
    if (points.some((p) => c <= p && p < end)) return true;
    if (chain.length - 1 - i < latest || ranges.some(([from, to]) => c <= to && from < end)) return true;
    return forMs > 0 && next.madeMs + forMs > fullHour;
  });
  const isOver = stays.length === 1 && stays[0]!.payload === undefined && stays[0]!.seq < floor;
  return isOver ? [] : stays.map((version) => version.seq);
}

/** A key as text. */
export const shown = (key: ByteKey): string =>
  `${tableOf(key)}/${key.slice(4).replaceAll(/[^ -~]/g, (c) => `\\${c.charCodeAt(0).toString(16)}`)}`;
