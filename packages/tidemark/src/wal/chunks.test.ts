import { beforeEach, expect, test } from "vitest";
import { ByteWriter } from "../base/bytes.ts";
import { chunkAt, chunksOf, type OutsideRef, slotsOf, withReference } from "../codec/outside.ts";
import { recordValue } from "../codec/record.ts";
import { get, type Storage } from "../storage/contract.ts";
import { createMemoryStorage, type MemoryMedium } from "../storage/memory.ts";
import { deletesOf, encodeChunk, faultOfOutside, loadOutside, readChunkKeys, storedBytes } from "./chunks.ts";

let medium: MemoryMedium;
let storage: Storage;
beforeEach(async () => {
  medium = createMemoryStorage();
  storage = await medium.open("d");
});

const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => i * 31 + (i >> 8));
const reference = (ref: OutsideRef) => recordValue(withReference(Uint8Array.of(0, 1, 0), ref));

async function store(id: number, value: Uint8Array): Promise<OutsideRef> {
  const ref = { id, sizeBytes: value.length };
  for (let i = 0; i < chunksOf(value.length); i++) {
    const { key, from, to } = chunkAt(ref, i);
    const chunk = encodeChunk(key, value.subarray(from, to));
    await storage.commit({ durability: "relaxed", writes: [{ kind: "put", store: "blobs", key, value: chunk }] });
  }
  return ref;
}

test("[MV11] values come back as they were, among others, and no read moves more than 256 KB", async () => {
  const values = [bytes(1), bytes(61_440), bytes(61_441), bytes(1_000_000)];
  const refs: OutsideRef[] = [];
  for (const value of values) refs.push(await store(((refs.at(-1) && slotsOf(refs.at(-1)!).to) ?? 0) + 640, value));
  const inline = new ByteWriter();
  inline.u8(1);
  inline.utf8('"plain"');
  const before = medium.stats;
  const loaded = await loadOutside(storage, [inline.written(), undefined, ...refs.map(reference)]);
  expect(loaded).toEqual([inline.written(), undefined, ...values]);
  const { readCalls, bytesRead } = medium.stats;
  expect((bytesRead - before.bytesRead) / (readCalls - before.readCalls)).toBeLessThan(256 * 1024);
  expect(await loadOutside(storage, [undefined, inline.written()])).toEqual([undefined, inline.written()]);
  const [keys] = await storage.read([readChunkKeys]);
  const sum = values.reduce((n, v) => n + v.length, 0);
  expect(storedBytes(keys)).toBeGreaterThanOrEqual(sum);
  expect(storedBytes(keys)).toBeLessThan(sum + 20 * 1024);
});

test("[MV8] any flipped bit, or a part that is gone, is told, and which value it was", async () => {
  const good = await store(64, bytes(70_000));
  const ref = await store(640, bytes(200_000));
  expect(await faultOfOutside(storage, ref)).toBeUndefined();
  const { key } = chunkAt(ref, 2);
  medium.damage("d", "blobs", key, 5000);
  expect(await faultOfOutside(storage, ref)).toMatch(/checksum/);
  const load = loadOutside(storage, [undefined, reference(good), reference(ref)]);
  await expect(load).rejects.toMatchObject({ code: "CORRUPT", details: { what: "value", position: 2 } });
  await storage.commit({ durability: "relaxed", writes: [{ kind: "delete", store: "blobs", key }] });
  expect(await faultOfOutside(storage, ref)).toMatch(/not stored/);
  expect(await faultOfOutside(storage, good)).toBeUndefined();
});

test("[MV11] deleting a value deletes all of it, and neither its neighbours nor what lies below 0", async () => {
  const [a, b, c] = [await store(64, bytes(60_000)), await store(128, bytes(150_000)), await store(320, bytes(10))];
  await storage.commit({ durability: "relaxed", writes: [{ kind: "put", store: "blobs", key: -1, value: bytes(9) }] });
  await storage.commit({ durability: "relaxed", writes: deletesOf(b) });
  expect(await Promise.all([a, b, c].map((ref) => faultOfOutside(storage, ref)))).toEqual([
    undefined,
    expect.any(String),
    undefined,
  ]);
  const [left] = await storage.read([{ kind: "keys", store: "blobs", range: {} }]);
  expect(left!.map((e) => e.key)).toEqual([-1, chunkAt(a, 0).key, chunkAt(c, 0).key]);
});

test("[MV8] a chunk of another value, or of another place in this one, is not taken for its own", async () => {
  const [a, b] = [await store(64_000, bytes(130_000)), await store(128_000, bytes(130_001))];
  const [first, second, other] = [chunkAt(a, 0).key, chunkAt(a, 1).key, chunkAt(b, 0).key];
  const [chunk] = (await storage.read([get("blobs", first)]))[0]!;
  for (const key of [second, other]) {
    const put = { kind: "put", store: "blobs", key, value: chunk!.value } as const;
    await storage.commit({ durability: "relaxed", writes: [put] });
  }
  for (const ref of [a, b]) {
    await expect(loadOutside(storage, [reference(ref)])).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await faultOfOutside(storage, ref)).toMatch(/another one/);
  }
});
