import type { BlockId, ByteKey, Seq } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { Block } from "../segments/block.ts";
import type { Manifest } from "../segments/manifest.ts";
import { compareInternal } from "../segments/internal-key.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { get, type Read, under, valueOf } from "../storage/contract.ts";
import { outsideOf } from "../codec/outside.ts";
import { tableOf } from "../codec/record.ts";
import { faultOfOutside } from "../wal/chunks.ts";
import { entryChecksum, type LogEntry } from "../wal/entry.ts";
import { chainFrom, decodeFence, readFence } from "../wal/log.ts";
import { openRow } from "../wal/row.ts";
import { floorIn, readFloor } from "./read-floor.ts";
import { Reader } from "./reader.ts";
import { catalogAt, liveTables } from "./schema.ts";
import type { Store } from "./store.ts";

/** A stretch of keys whose block is damaged or gone, a value that is, an end of the log, or a small row. */
export interface Damage {
  readonly what: "block" | "log" | "value" | "row";
  readonly id: BlockId | undefined;
  readonly from: ByteKey | undefined;
  readonly to: ByteKey | undefined;
  readonly why: string;
}

export interface Verified {
  readonly blocks: number;
  readonly entries: number;
  readonly damage: readonly Damage[];
}

/** Reads every block, log entry and small row there is, past the cache, and checks them. Blocks are held one at a time. */
export async function verify(store: Store): Promise<Verified> {
  const damage: Damage[] = [];
  let blocks = 0;
  // By id, since upkeep meanwhile replaces the manifest: what it replaced is checked as what replaced it.
  const checked = new Set<BlockId>();
  for (let manifest: Manifest | undefined; manifest !== store.manifest;) {
    manifest = store.manifest;
    for (const info of manifest.all()) {
      if (checked.has(info.id)) continue;
      checked.add(info.id);
      const why = await faultOf(store, info);
      if (why === undefined) blocks++;
      else damage.push({ what: "block", id: info.id, from: info.first.key, to: info.last.key, why });
      if (manifest !== store.manifest) break;
    }
  }
  const [row, found] = await store.storage.read([readFence, { kind: "range", store: "log", range: { from: 1 } }]);
  const { entries, broken } = chainFrom(found ?? [], decodeFence(valueOf(row)!));
  if (broken) {
    damage.push({ what: "log", id: undefined, from: undefined, to: undefined, why: "the chain of entries is broken" });
  }
  for (const entry of entries) {
    const why = entry.body && (await faultOfOutside(store.storage, entry.body));
    if (why === undefined || !(await isLogged(store, entry))) continue;
    damage.push({ what: "log", id: undefined, from: undefined, to: undefined, why });
  }
  damage.push(...(await damagedRows(store)));
  return { blocks, entries: entries.length, damage };
}

/** All of store `meta` but the manifest, which was read already. */
const smallRows: readonly Read[] = [{ to: "manifest" }, { from: under("manifest/").to! }].map((range) => ({
  kind: "range",
  store: "meta",
  range,
}));
const isEnvelope = (key: string): boolean => key !== "format" && key !== "dropped" && key !== "manifest";

/** Small rows hold no data, but a snapshot, or what upkeep goes by. */
async function damagedRows({ storage }: Store): Promise<readonly Damage[]> {
  const found = await storage.read(smallRows);
  return found.flat().flatMap(({ key, value }): readonly Damage[] => {
    if (!isEnvelope(String(key))) return [];
    try {
      openRow(value, String(key), `row '${key}'`);
      return [];
    } catch (e) {
      if (!isTidemarkError(e, "CORRUPT")) throw e;
      return [{ what: "row", id: undefined, from: undefined, to: undefined, why: e.message }];
    }
  });
}

/** Whether it still is in the log: a checkpoint may have taken it meanwhile. To reload would be to strike it. */
async function isLogged({ storage }: Store, { firstSeq, checksum }: LogEntry): Promise<boolean> {
  const bytes = valueOf((await storage.read([get("log", firstSeq)]))[0]);
  return bytes !== undefined && entryChecksum(bytes) === checksum;
}

/** What is wrong with a block; `undefined` for nothing. */
async function faultOf(store: Store, info: BlockInfo): Promise<string | undefined> {
  const [row] = await store.storage.read([get("blocks", info.id)]);
  const bytes = valueOf(row);
  if (!bytes) {
    await store.reload();
    return store.manifest.has(info) ? "it is listed but not stored" : undefined;
  }
  try {
    const block = Block.open(info.id, bytes);
    return contentFault(block, info) ?? (info.outside === 0 ? undefined : await outsideFault(store, block));
  } catch (e) {
    if (isTidemarkError(e, "CORRUPT")) return e.message;
    throw e;
  }
}

/** What is wrong with the values that a block refers to. */
async function outsideFault(store: Store, block: Block): Promise<string | undefined> {
  for (let i = 0; i < block.count; i++) {
    const { payload } = block.versionAt(i);
    const ref = payload && outsideOf(payload);
    const why = ref && (await faultOfOutside(store.storage, ref));
    if (why === undefined) continue;
    await store.reload();
    const isListed = store.manifest.info(block.id) !== undefined;
    if (isListed && (await isReadable(store, block.keyAt(i), block.seqAt(i)))) return why;
  }
  return undefined;
}

/**
 * Whether anybody can read this version, now or later. One that nobody can may have lost its value already: it goes
 * with the last version that refers to it and can be read, while others wait in another level, or in a cleared table.
 */
async function isReadable(store: Store, key: ByteKey, at: Seq): Promise<boolean> {
  const reader = new Reader(store);
  if (!liveTables(await catalogAt(reader, store.head.seq)).has(tableOf(key))) return false;
  const [row] = await store.storage.read([readFloor]);
  const floor = floorIn(row).seq;
  return at >= floor || (await reader.get(key, floor))?.seq === at;
}

function contentFault(block: Block, info: BlockInfo): string | undefined {
  if (block.count !== info.count) return `it holds ${block.count} versions, its manifest says ${info.count}`;
  const at = (i: number): BlockInfo["first"] => ({ key: block.keyAt(i), seq: block.seqAt(i) });
  if (compareInternal(at(0), info.first) !== 0) return "it does not begin where its manifest says";
  if (compareInternal(at(block.count - 1), info.last) !== 0) return "it does not end where its manifest says";
  for (let i = 1; i < block.count; i++)
    if (compareInternal(at(i - 1), at(i)) >= 0) return "its versions are out of order";
  return undefined;
}
