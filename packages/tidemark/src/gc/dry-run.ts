/**
 * What a run would remove, said without changing anything: each version with its proof. It looks where a run would look,
 * at the keys of the memtable and of blocks that are due, but judges every chain whole; a run comes to the same, since
 * it judges with all that bears on a chain.
 */
import { type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { tableOf } from "../codec/record.ts";
import type { Store } from "../mvcc/store.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import type { Block } from "../segments/block.ts";
import { ChainLookup } from "../segments/chain-lookup.ts";
import { type Clause, judge, reachOf, type Rule } from "../segments/rule.ts";
import { type Version, versionBytes } from "../segments/version.ts";
import { type Outlook, outlook } from "./cycle.ts";
import { isIn, type Stretch } from "./dead-tables.ts";
import type { Basis } from "./journal.ts";
import { LookAnew } from "./load.ts";
import { dueRuns } from "./plan.ts";
import { ruleUnder } from "./rule-under.ts";

/** One version that would go. */
export interface Proof {
  readonly key: ByteKey;
  readonly seq: Seq;
  /** Its successor; its own seq for a tombstone with nothing left to hide, 0 for what was cleared. */
  readonly supersededBy: Seq;
  readonly floor: Seq;
  readonly clause: Clause | "cleared";
  readonly bytes: number;
}

export interface Proofs {
  readonly proofs: readonly Proof[];
  /** Versions looked at. */
  readonly scanned: number;
  /** Where to go on; absent at the end. */
  readonly after?: ByteKey;
}

/** Upkeep moves blocks on while we look; so often we begin again. */
const maxLooks = 10;

/**
 * The proofs of keys beyond `after`, of whole keys, until there are `limit` or more.
 * @throws BUSY where upkeep moves on faster than one can look
 */
export async function dryRun(store: Store, basis: Basis, limit: number, after: ByteKey | undefined): Promise<Proofs> {
  for (let looks = 1; ; looks++) {
    const { version } = store.manifest;
    try {
      return await look(store, basis, limit, after);
    } catch (e) {
      if (!(e instanceof LookAnew) || looks === maxLooks) throw e;
      await store.reload();
      if (store.manifest.version === version)
        throw new TidemarkError("CORRUPT", "A block is listed but not stored", { what: "block" }, e);
    }
  }
}

async function look(store: Store, basis: Basis, limit: number, after: ByteKey | undefined): Promise<Proofs> {
  const { manifest, head } = store;
  const ahead = await outlook(store, basis, head.seq);
  const { retentions, dead } = ahead.decided;
  const rule = ruleUnder(basis, head.seq, retentions);
  const chains = new ChainLookup(manifest, (infos) => loadAll(store, infos));
  const proofs: Proof[] = [];
  let scanned = 0;
  let last = after;
  for await (const key of keysToLookAt(store, rule, ahead, after)) {
    if (proofs.length >= limit) return { proofs, scanned, after: last! };
    const versions = [...inMemory(store, key, head.seq), ...(await chains.all(key))];
    scanned += versions.length;
    proveKey(key, versions, rule, dead, proofs);
    last = key;
  }
  return { proofs, scanned };
}

function proveKey(
  key: ByteKey,
  versions: readonly Version[],
  rule: Rule,
  dead: readonly Stretch[],
  into: Proof[],
): void {
  const prove = (version: Version, supersededBy: Seq, clause: Proof["clause"]): void => {
    const bytes = versionBytes(key, version.payload);
    into.push({ key, seq: version.seq, supersededBy, floor: rule.floor, clause, bytes });
  };
  if (isIn(dead, tableOf(key))) {
    for (const version of versions) prove(version, seq(0), "cleared");
  } else judge({ key, versions, newer: undefined, position: 0, older: "none" }, rule, prove);
}

function inMemory({ memtable }: Store, key: ByteKey, at: Seq): readonly Version[] {
  const [change] = memtable.changes(at).read(key, 1);
  return change?.key === key ? change.versions : [];
}

/** @throws LookAnew where what lists them is old */
async function loadAll(store: Store, infos: readonly BlockInfo[]): Promise<readonly Block[]> {
  const blocks = await store.blocks.load(infos, infos.length);
  return infos.map(({ id }) => {
    const block = blocks.get(id);
    if (!block) throw new LookAnew();
    return block;
  });
}

/** Keys of the memtable and of due blocks beyond `after`, in order, each once. */
async function* keysToLookAt(
  store: Store,
  rule: Rule,
  { isReleased, newlyDead: dead }: Outlook,
  after: ByteKey | undefined,
): AsyncGenerator<ByteKey, void> {
  const from = after === undefined ? byteKey("") : byteKey(`${after}\0`);
  const reach = reachOf(rule);
  const sources: (AsyncIterator<ByteKey> | Iterator<ByteKey>)[] = [store.memtable.keys(from, undefined, false)];
  for (const infos of dueRuns(store.manifest, { reach, isReleased, dead }, from)) {
    sources.push(keysOfBlocks(store, infos, from));
  }
  const heads = await Promise.all(sources.map(async (source) => source.next()));
  for (;;) {
    let least: ByteKey | undefined;
    for (const { done, value } of heads) if (!done && (least === undefined || value < least)) least = value;
    if (least === undefined) return;
    yield least;
    for (const [i, source] of sources.entries()) {
      let head = heads[i]!;
      while (!head.done && head.value === least) head = await source.next();
      heads[i] = head;
    }
  }
}

async function* keysOfBlocks(store: Store, infos: Iterable<BlockInfo>, from: ByteKey): AsyncGenerator<ByteKey, void> {
  for (const info of infos) {
    for (const block of await loadAll(store, [info])) {
      for (let i = block.lowerBound(from, seq(Number.MAX_SAFE_INTEGER)); i < block.count; i++) yield block.keyAt(i);
    }
  }
}
