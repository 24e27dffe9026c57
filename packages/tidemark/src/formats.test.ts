/**
 * The examples of docs/formats are what the code writes, to the byte. An example is a fenced block whose first line is
 * "```hex name"; what follows a # is prose.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { blockId, type ByteKey, byteKey, seq, stamp, tabId, tableId } from "./base/brand.ts";
import { ByteWriter } from "./base/bytes.ts";
import { encodeIndexKey, encodeKey } from "./codec/key.ts";
import { chunkAt, withReference } from "./codec/outside.ts";
import { presence, tablePrefix, writeRecordHead } from "./codec/record.ts";
import { encodeValue } from "./codec/value.ts";
import { mergeDeclaration } from "./collections/catalog.ts";
import { collection } from "./client/declare.ts";
import { Life } from "./fixture-tabs.test-support.ts";
import { Tenure } from "./gc/tenure.ts";
import { holdId, putHold, putPin, putSnapshot } from "./mvcc/holders.ts";
import { encodeFloorRecord, putFloor } from "./mvcc/read-floor.ts";
import { GarbageLedger, unknownSeq } from "./mvcc/ledger.ts";
import { create, drop } from "./mvcc/recovery.ts";
import { catalogKey, emptyCatalog, encodeCatalog, floorKey } from "./mvcc/schema.ts";
import { BlockWriter, type StagedBlock } from "./segments/block-writer.ts";
import { Manifest } from "./segments/manifest.ts";
import { never } from "./segments/rule.ts";
import { get, type Storage, type StoreKey, type StoreName, valueOf, type Write } from "./storage/contract.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import { encodeChunk } from "./wal/chunks.ts";
import { type Commit, encodeEntry, encodeWrites, supersededThatFits } from "./wal/entry.ts";
import { idsPerGeneration, putGeneration } from "./wal/generations.ts";
import { encodeFence } from "./wal/log.ts";
import { Staging } from "./wal/staging.ts";

const pages = ["values", "log", "blocks", "manifest", "rows"] as const;
const textOf = (page: string): string =>
  readFileSync(new URL(`../../../docs/formats/${page}.md`, import.meta.url), "utf8");

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");
const hexIn = (block: string): string =>
  block
    .split("\n")
    .flatMap((line) => line.replace(/#.*/, "").trim().split(/\s+/))
    .filter((byte) => byte !== "")
    .join(" ");

const examplesIn = (page: string): [string, string][] =>
  [...textOf(page).matchAll(/^```hex (\S+)\n([^]*?)^```$/gm)].map(([, name, block]) => [name!, hexIn(block!)]);

/** What all examples are about: one database, its notes, and their index by stars. */
const database = 0x1234abcd;
const tab = tabId("tab-a");
const made = stamp(1_700_000_000_000 * 1024);
const catalog = mergeDeclaration(
  emptyCatalog,
  {
    version: 1,
    dropCollections: [],
    collections: { notes: { key: "id", indexes: { byStars: { path: "stars", unique: false, multi: false } } } },
  },
  1,
)!.catalog;
const noteKey = (id: string): ByteKey => byteKey(tablePrefix(tableId(1)) + encodeKey(id, "notes.id"));
const starsKey = (stars: number): ByteKey => byteKey(tablePrefix(tableId(2)) + encodeIndexKey(stars, "notes.byStars"));
const starsEntry = (stars: number, id: string): ByteKey => byteKey(starsKey(stars) + encodeKey(id, "notes.id"));

function written(write: (out: ByteWriter) => unknown): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  write(out);
  return out.finish();
}
const valueOfNote = (value: unknown): Uint8Array<ArrayBuffer> => written((out) => encodeValue(value, out, "notes"));
const keyBytes = (key: ByteKey): Uint8Array<ArrayBuffer> => written((out) => out.key(key));
const key = (value: unknown): Uint8Array<ArrayBuffer> => keyBytes(encodeKey(value, "key"));

const note = written((out) => {
  writeRecordHead(out, [starsKey(3)]);
  encodeValue({ id: "a", stars: 3 }, out, "notes");
});
const nothing = Uint8Array.of(0, ...valueOfNote(null));
const rich = { at: new Date(0), gone: undefined, raw: Uint8Array.of(7, 8) };

const values = {
  "key-number": key(1.5),
  "key-negative": key(-1),
  "key-date": key(new Date(0)),
  "key-string": key("aé\0"),
  "key-binary": key(Uint8Array.of(0, 1, 2)),
  "key-array": key([3, "a"]),
  "record-key": keyBytes(noteKey("a")),
  "index-entry": keyBytes(starsEntry(3, "a")),
  "value-plain": valueOfNote({ id: "a", stars: 3 }),
  "value-rich": valueOfNote(rich),
  record: note,
  "record-outside": withReference(note, { id: 5 * idsPerGeneration, sizeBytes: 100_000 }),
  "catalog-key": keyBytes(catalogKey),
  catalog: encodeCatalog(catalog),
  "floor-key": keyBytes(floorKey),
  floor: encodeFloorRecord({ floor: 7, released: [], evicted: ["pin/tab-a"], by: "tab-b", holders: 5, at: made }),
};

const put: Commit = {
  seq: seq(7),
  stamp: made,
  id: 4,
  tag: "ui",
  writes: [
    {
      key: noteKey("a"),
      payload: note,
      supersedes: seq(5),
      supersededBytes: noteKey("a").length + note.length,
      oldEntries: [starsEntry(2, "a")],
    },
  ],
};
const remove: Commit = {
  seq: seq(8),
  stamp: stamp(made + 1),
  id: 5,
  tag: "",
  writes: [
    {
      key: noteKey("b"),
      payload: undefined,
      supersedes: seq(6),
      supersededBytes: noteKey("b").length + nothing.length,
      oldEntries: [],
    },
  ],
};
const entry = encodeEntry(database, 0x89abcdef, tab, [put]);
const entrySum = new DataView(entry.buffer).getUint32(4, true);
const body = encodeWrites([remove]);
const bodyRef = { id: 5 * idsPerGeneration, sizeBytes: body.length };

const log = {
  fence: encodeFence({ database, incarnation: 0, seq: seq(6), checksum: 0x89abcdef, stamp: stamp(made - 1) }),
  entry,
  "entry-staged": encodeEntry(database, entrySum, tab, [remove], bodyRef, supersededThatFits(tab, [remove], bodyRef)),
  body,
  chunk: encodeChunk(chunkAt(bodyRef, 0).key, body),
};

/** The block that a fold of both entries makes, and the manifest that lists it. */
async function folded(): Promise<{ readonly block: Uint8Array; readonly manifest: Manifest }> {
  const stored: StagedBlock[] = [];
  const writer = new BlockWriter({
    targetBytes: 32 * 1024,
    maxStoreBytes: 256 * 1024,
    newBlockId: () => blockId(2 * idsPerGeneration),
    store: async (blocks) => void stored.push(...blocks),
  });
  writer.add(noteKey("a"), { seq: seq(7), stamp: made, payload: note }, never);
  writer.add(noteKey("b"), { seq: seq(8), stamp: stamp(made + 1), payload: undefined }, 9);
  writer.add(noteKey("b"), { seq: seq(6), stamp: stamp(made - 1), payload: nothing }, 8);
  writer.add(starsEntry(3, "a"), { seq: seq(7), stamp: made, payload: presence }, never);
  await writer.finish();
  const edit = { level: 3, removed: [], added: writer.added };
  return { block: stored[0]!.bytes, manifest: Manifest.empty.edit([edit], () => 2 * idsPerGeneration + 1) };
}
const { block, manifest } = await folded();
const page = manifest.pages()[0]!;

/** After that fold: what both entries superseded is still stored. */
const ledger = GarbageLedger.unknownAt(seq(0));
ledger.points([seq(6)]);
ledger.supersede(seq(5), seq(7), noteKey("a").length + note.length, tableId(1));
ledger.supersede(unknownSeq, seq(7), starsEntry(2, "a").length, tableId(2));
ledger.supersede(seq(6), seq(8), noteKey("b").length + nothing.length, tableId(1));

const random = { next: () => 0.5, id: () => "tab-a" };
const rowOf = async (storage: Storage, store: StoreName, at: StoreKey): Promise<Uint8Array> =>
  valueOf((await storage.read([get(store, at)]))[0])!;
const valueIn = (write: Write): Uint8Array => (write.kind === "put" ? write.value : new Uint8Array());

/** The rows that are only ever written by larger steps, as those leave them. */
async function rowsLeft(): Promise<Record<"format" | "upkeep" | "stage" | "version" | "dropped", Uint8Array>> {
  const medium = createMemoryStorage();
  const storage = await medium.open("rows");
  await create(storage, random);
  const format = await rowOf(storage, "meta", "format");
  await Tenure.begin(storage);
  // Interrupted before it can sweep what the first may have left.
  const unreadable: Storage = {
    read: () => Promise.reject(new Error("interrupted")),
    commit: (batch) => storage.commit(batch),
    close: () => Promise.resolve(),
  };
  await expect(Tenure.begin(unreadable)).rejects.toThrow("interrupted");
  const upkeep = await rowOf(storage, "meta", "upkeep");
  const staging = new Staging(storage, tab);
  const staged = await staging.reserve("blobs", 64);
  await staging.write(staged, { ...staged, pieces: [] });
  const stage = await rowOf(storage, "meta", `stage/tab-a/blobs/${staged.from}`);
  await drop(storage, random);
  const dropped = await rowOf(storage, "meta", "dropped");
  const db = await new Life(medium).open({
    name: "versioned",
    version: 3,
    collections: { notes: collection<{ readonly id: string }>()({ key: "id" }) },
  });
  const version = await rowOf(await medium.open("versioned"), "meta", "version");
  await db.close();
  return { format, upkeep, stage, version, dropped };
}

const examples: Readonly<Record<(typeof pages)[number], Readonly<Record<string, Uint8Array>>>> = {
  values,
  log,
  blocks: { block, filter: page.infos[0]!.filter },
  manifest: { page: page.encode(), root: manifest.encodeRoot() },
  rows: {
    floor: valueIn(
      putFloor({ seq: seq(7), logSeq: seq(9), previousLogSeq: seq(5), eviction: { by: "tab-b", logSeq: seq(5) } }),
    ),
    ledger: ledger.through(seq(8), seq(0)).encode(),
    pin: valueIn(putPin(tab, seq(300))),
    snapshot: valueIn(putSnapshot("before", { seq: seq(300), stamp: made })),
    hold: valueIn(putHold(holdId(tab, 1), seq(300))),
    generation: valueIn(putGeneration(5)),
    ...(await rowsLeft()),
  },
};

describe("the pages on formats", () => {
  test.each(pages)("%s.md shows each of its examples once, and no others", (name) => {
    expect(
      examplesIn(name)
        .map(([example]) => example)
        .toSorted(),
    ).toEqual(Object.keys(examples[name]).toSorted());
  });

  const all = pages.flatMap((name) =>
    Object.entries(examples[name]).map(([example, bytes]) => [name, example, bytes] as const),
  );
  test.each(all)("%s.md: %s is what the code writes", (name, example, bytes) => {
    expect(new Map(examplesIn(name)).get(example)).toBe(hexOf(bytes));
  });

  test("README.md names the magic and the format that each kind of envelope begins with", () => {
    const named = [...textOf("README").matchAll(/^\| `(TM..)` +\|[^|]*\| (\d+)/gm)].map(([, magic, format]) => [
      magic,
      format,
    ]);
    const begun = all.flatMap(([, , bytes]) => {
      const magic = new TextDecoder().decode(bytes.subarray(0, 4));
      return magic.startsWith("TM") ? [`${magic} ${bytes[8]}`] : [];
    });
    expect(named.map((row) => row.join(" ")).toSorted()).toEqual([...new Set(begun)].toSorted());
  });
});
