/** Collections beside the world's own, and a count of every stored version to compare the metrics with. */
import { type ByteKey, byteKey, type Seq, type TableId } from "./base/brand.ts";
import { ByteWriter, varintBytes } from "./base/bytes.ts";
import { encodeIndexKey, encodeKey } from "./codec/key.ts";
import { outsideOf } from "./codec/outside.ts";
import { tableOf, tablePrefix, writeRecordHead, writeWriteHead } from "./codec/record.ts";
import type { Definition } from "./codec/schema.ts";
import { encodeValue } from "./codec/value.ts";
import { metrics } from "./host/metrics.ts";
import { SliceMeter } from "./host/slice-figures.ts";
import { systemTable } from "./mvcc/schema.ts";
import type { Metrics, Usage } from "./protocol/metrics.ts";
import { Block, type BlockEntry, blockHeaderBytes } from "./segments/block.ts";
import { sharedPrefixLength } from "./segments/internal-key.ts";
import { inlineBytes, type Version, versionBytes } from "./segments/version.ts";
import { get, valueOf } from "./storage/contract.ts";
import { commit, type Tab } from "./test-world.test-support.ts";

export const more: Definition = {
  version: 1,
  dropCollections: [],
  collections: {
    notes: { key: "id", indexes: { n: { path: "n", unique: false, multi: false } } },
    tags: { key: "id", indexes: {} },
  },
};

export interface Note {
  readonly id: string;
  readonly n: number;
  readonly pad?: string;
}

/** One commit that puts, or deletes where there is nothing to put, records of a collection. */
export async function writeNotes(
  tab: Tab,
  collection: "notes" | "tags",
  ids: readonly string[],
  noteOf: (id: string) => Note | undefined,
): Promise<void> {
  const { database } = tab;
  await database.store.follow();
  const { table, indexes } = database.schema.catalog.collections[collection]!;
  const batch = new ByteWriter();
  for (const id of ids) {
    const key = byteKey(tablePrefix(table) + encodeKey(id, "id"));
    const note = noteOf(id);
    const payload = note && payloadOf(note, indexes["n"]?.table);
    writeWriteHead(batch, payload ? "put" : "delete", key, payload?.length ?? 0);
    if (payload) batch.bytes(payload);
  }
  await database.write({ writes: batch.finish() }, database.schema.epoch, "relaxed", "");
}

function payloadOf(note: Note, index: TableId | undefined): Uint8Array {
  const out = new ByteWriter();
  writeRecordHead(out, index === undefined ? [] : [byteKey(tablePrefix(index) + encodeIndexKey(note.n, "n"))]);
  encodeValue(note, out, "note");
  return out.finish();
}

export async function clearCollection(tab: Tab, name: string): Promise<void> {
  const options = { tracked: true, isolation: "serializable", fresh: true, attempt: 0 } as const;
  const tx = await tab.database.begin(-1, options);
  await tab.database.clear(tx, tx.schema.epoch, name);
  await commit(tab, -1, []);
}

export const metricsOf = ({ database }: Tab): Promise<Metrics> =>
  metrics(database, { isHere: false, slices: new SliceMeter(0).figures(1) });

type Counted = Required<Usage>;
const nothing: Counted = { versions: 0, tombstones: 0, superseded: 0, supersededBytes: 0, bytes: 0, blobBytes: 0 };

/** What metrics say of a version in memory beside its key and payload. */
const memoryOverheadBytes = 64;

/** By table, from every version in blocks and in memory. `isForgotten`: tables whose garbage is counted no longer. */
export async function countAll(
  { database: { store }, storage }: Tab,
  isForgotten: (table: TableId) => boolean,
): Promise<ReadonlyMap<TableId, Counted>> {
  const tables = new Map<TableId, Counted>();
  const chains = new Map<ByteKey, Version[]>();
  const add = (table: TableId, counted: Partial<Counted>): void => {
    const sum = { ...(tables.get(table) ?? nothing) };
    for (const [name, n] of Object.entries(counted)) sum[name as keyof Counted] += n;
    tables.set(table, sum);
  };
  const take = (key: ByteKey, version: Version, bytes: number): void => {
    chains.set(key, [...(chains.get(key) ?? []), version]);
    const { payload } = version;
    const blobBytes = (payload && outsideOf(payload)?.sizeBytes) ?? 0;
    add(tableOf(key), { versions: 1, tombstones: payload ? 0 : 1, bytes, blobBytes });
  };
  for (const { key, versions } of store.memtable.changes(store.head.seq).read("" as ByteKey, Infinity)) {
    for (const version of versions) take(key, version, memoryOverheadBytes + inlineBytes(key, version.payload));
  }
  for (const { id } of store.manifest.all()) {
    const block = Block.open(id, valueOf((await storage.read([get("blocks", id)]))[0])!);
    const entries = Array.from({ length: block.count }, (_, i) => ({
      key: block.keyAt(i),
      version: block.versionAt(i),
    }));
    const prefix = sharedPrefixLength(entries[0]!.key, entries.at(-1)!.key, Infinity);
    for (const entry of entries) take(entry.key, entry.version, storedBytes(entry, entries, prefix));
    add(tableOf(entries[0]!.key), { bytes: blockHeaderBytes + prefix });
  }
  for (const [key, chain] of chains) {
    const table = tableOf(key);
    if (table === systemTable || isForgotten(table)) continue;
    for (const { payload } of newestFirst(chain).slice(1)) {
      if (payload) add(table, { superseded: 1, supersededBytes: versionBytes(key, payload) });
    }
  }
  return tables;
}

const newestFirst = (chain: readonly Version[]): readonly Version[] => chain.toSorted((a, b) => b.seq - a.seq);

/** By the format of blocks: place in the offset table, key, seq and stamp above the block's lowest, flag, payload. */
function storedBytes({ key, version }: BlockEntry, entries: readonly BlockEntry[], prefix: number): number {
  const least = (of: (v: Version) => number): number => Math.min(...entries.map((e) => of(e.version)));
  const rest = key.length - prefix;
  const seqBytes = varintBytes(version.seq - least((v): Seq => v.seq));
  const stampBytes = varintBytes(version.stamp - least((v) => v.stamp));
  return 4 + varintBytes(rest) + rest + seqBytes + stampBytes + 1 + (version.payload?.length ?? 0);
}

export const sumOfAll = (all: readonly (Usage | undefined)[]): Counted => {
  const sum = { ...nothing };
  for (const usage of all) {
    if (usage === undefined) continue;
    for (const name of Object.keys(sum) as (keyof Counted)[]) sum[name] += usage[name] ?? 0;
  }
  return sum;
};

/** Every usage in the metrics. */
export const allUsages = ({ collections, cleared, system }: Metrics): readonly Usage[] => [
  ...Object.values(collections).flatMap(({ records, indexes }) => [records, ...Object.values(indexes)]),
  cleared,
  system,
];
