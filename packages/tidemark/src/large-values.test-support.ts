/** What lies out of line in a `World`, and what refers to it. */
import { outsideOf, type OutsideRef, slotsOf, slotsPerChunk } from "./codec/outside.ts";
import { sweepStaging } from "./gc/sweep.ts";
import type { Store } from "./mvcc/store.ts";
import { byteKey, seq } from "./base/brand.ts";
import { type Storage, valueOf } from "./storage/contract.ts";
import type { Item, Tab, World } from "./test-world.test-support.ts";
import { faultOfOutside, readChunkKeys } from "./wal/chunks.ts";
import { chainFrom, decodeFence, readFence } from "./wal/log.ts";
import { readStaging, type Staged, stagingIn } from "./wal/staging.ts";

/** An item whose value is about this large, and like no other. */
export const large = (id: string, n: number, sizeBytes = 100_000): Item => ({
  id,
  n,
  pad: `${n},`.repeat(Math.ceil(sizeBytes / `${n},`.length)).slice(0, sizeBytes),
});

/** Every reference that any version holds, in memory and in blocks. */
export async function references(store: Store): Promise<readonly OutsideRef[]> {
  const payloads = store.memtable
    .changes(seq(Number.MAX_SAFE_INTEGER))
    .read(byteKey(""), Infinity)
    .flatMap(({ versions }) => versions.map((v) => v.payload));
  for (const info of store.manifest.all()) {
    const block = (await store.blocks.load([info], 1)).get(info.id)!;
    for (let i = 0; i < block.count; i++) payloads.push(block.versionAt(i).payload);
  }
  return payloads.flatMap((p) => (p && outsideOf(p)) ?? []);
}

export const chunkKeys = async (storage: Storage): Promise<readonly number[]> =>
  (await storage.read([readChunkKeys]))[0]!.map(({ key }) => key as number);

export const storedBlocks = async (storage: Storage): Promise<readonly number[]> =>
  (await storage.read([{ kind: "keys", store: "blocks", range: {} }]))[0]!.map(({ key }) => key as number);

/** Where the writes of large commits lie that the log still refers to. */
export async function bodies(storage: Storage): Promise<readonly OutsideRef[]> {
  const [fence, log] = await storage.read([readFence, { kind: "range", store: "log", range: { from: 1 } }]);
  return chainFrom(log!, decodeFence(valueOf(fence)!)).entries.flatMap(({ body }) => body ?? []);
}

export const stagedRows = async (storage: Storage): Promise<readonly Staged[]> =>
  stagingIn((await storage.read([readStaging]))[0]);

export const sweep = (world: World, storage: Storage): Promise<number> =>
  sweepStaging(storage, () => Promise.resolve(new Set(world.live)));

/** The largest number of bytes that one storage call moved while `work` ran. */
export async function largestCall({ medium }: World, work: () => Promise<unknown>): Promise<number> {
  let most = 0;
  let { bytesRead, bytesWritten } = medium.stats;
  const look = () => {
    const now = medium.stats;
    most = Math.max(most, now.bytesRead - bytesRead, now.bytesWritten - bytesWritten);
    ({ bytesRead, bytesWritten } = now);
  };
  medium.onStep = () => {
    look();
    return "go";
  };
  await work();
  look();
  medium.onStep = undefined;
  return most;
}

/** What is wrong with what lies out of line: a reference to what is not there, or something that no reference names. */
export async function faults(tab: Tab): Promise<readonly string[]> {
  const all = [...(await references(tab.database.store)), ...(await bodies(tab.storage))];
  const found: string[] = [];
  const named = new Set<number>();
  for (const ref of all) {
    const fault = await faultOfOutside(tab.storage, ref);
    if (fault !== undefined) found.push(fault);
    const { from, to } = slotsOf(ref);
    for (let slot = from; slot < to; slot += slotsPerChunk) named.add(slot);
  }
  for (const key of await chunkKeys(tab.storage)) {
    if (!named.has(key - (key % slotsPerChunk))) found.push(`nothing refers to chunk ${key}`);
  }
  for (const row of await stagedRows(tab.storage)) found.push(`left staged: ${row.tab} ${row.from}`);
  return found;
}
