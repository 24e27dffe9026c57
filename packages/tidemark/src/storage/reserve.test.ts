import { expect, it } from "vitest";
import { storageConformance } from "./conformance.ts";
import { type Batch, get, type ReserveUse, type Storage, type StorageFactory } from "./contract.ts";
import { createMemoryStorage, type MemoryMedium } from "./memory.ts";
import { missingChunks, readReserve, reserveBytes, ReservingStorage } from "./reserve.ts";

const name = "db";
const batch = (key: number, lengthBytes: number, reserve: ReserveUse = "none"): Batch => ({
  durability: "relaxed",
  reserve,
  writes: [{ kind: "put", store: "log", key, value: new Uint8Array(lengthBytes) }],
});
const full = { code: "QUOTA_EXCEEDED" };

async function reserved(storage: Storage): Promise<number> {
  return reserveBytes((await storage.read([readReserve]))[0]);
}

/** A full medium with the whole reserve in it. */
async function fullMedium(): Promise<{
  medium: MemoryMedium;
  storage: Storage;
  asked: () => number;
  roomIsMade: () => void;
}> {
  const medium = createMemoryStorage();
  let asked = 0;
  let done = (): void => undefined;
  const storage = new ReservingStorage(await medium.open(name), () => {
    asked++;
    return new Promise((resolve) => (done = resolve));
  });
  await storage.commit(batch(1, 1000));
  for (const chunk of missingChunks(undefined)) await storage.commit({ durability: "relaxed", writes: [chunk] });
  medium.quotaBytes = medium.usedBytes;
  return { medium, storage, asked: () => asked, roomIsMade: () => done() };
}

it.each(storageConformance)("conformance: $title", async ({ run }) => {
  const medium = createMemoryStorage();
  const reserving = (storage: Storage): Storage => new ReservingStorage(storage, () => expect.unreachable("full"));
  const factory: StorageFactory = {
    open: async (database) => reserving(await medium.open(database)),
    reopen: async (database) => {
      const storage = await medium.reopen(database);
      return storage && reserving(storage);
    },
    remove: (database) => medium.remove(database),
    list: () => medium.list(),
  };
  await expect(run(async () => factory)).resolves.toBeUndefined();
});

it("[MV9] the reserve is 1 MB that does not compress, in parts that hold nobody up", async () => {
  const { storage } = await fullMedium();
  expect(await reserved(storage)).toBe(1 << 20);
  const [found] = await storage.read([{ kind: "range", store: "blobs", range: {} }]);
  const blob = new Blob(found!.map((e) => e.value));
  const packed = await new Response(blob.stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
  expect(packed.byteLength).toBeGreaterThan(1 << 20);
  for (const { key, value } of found!) {
    expect(key).toBeLessThan(0);
    expect(value.length).toBeLessThanOrEqual(256 * 1024);
  }
  expect(missingChunks((await storage.read([readReserve]))[0])).toEqual([]);
});

it("[MV9] on a full disk only those who may have the reserve get through", async () => {
  const { storage, asked } = await fullMedium();
  await expect(storage.commit(batch(2, 100))).rejects.toMatchObject(full);
  expect([await reserved(storage), asked()]).toEqual([1 << 20, 0]);
  await storage.commit(batch(2, 100, "some"));
  expect([await reserved(storage), asked()]).toEqual([1 << 19, 1]);
  expect((await storage.read([get("log", 1)]))[0]).toHaveLength(1);
});

it("[MV9] deletes leave half of it to upkeep, which frees the room they need", async () => {
  const { storage } = await fullMedium();
  let n = 10;
  await expect(
    (async () => {
      for (;;) await storage.commit(batch(n++, 10_000, "some"));
    })(),
  ).rejects.toMatchObject(full);
  expect(n).toBeGreaterThan(50);
  expect(await reserved(storage)).toBe(1 << 19);
  for (let i = 0; i < 50; i++) await storage.commit(batch(n++, 10_000, "all"));
  expect(await reserved(storage)).toBe(0);
});

it("[MV9] what it frees is not for others, until it is whole again", async () => {
  const { medium, storage, asked, roomIsMade } = await fullMedium();
  await storage.commit(batch(2, 100, "some"));
  const some = [batch(3, 100), { ...batch(3, 100), writes: () => batch(3, 100).writes as [] }];
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  for (const one of some) await expect(storage.commit(one)).rejects.toMatchObject(full);
  await storage.commit({ durability: "relaxed", writes: [{ kind: "delete", store: "log", key: 1 }] });
  roomIsMade();
  await settled();
  // There was no room for all of it: upkeep is asked again, by whoever wants to write.
  for (const one of some) await expect(storage.commit(one)).rejects.toMatchObject(full);
  expect(asked()).toBe(2);
  medium.quotaBytes = Infinity;
  for (const chunk of missingChunks((await storage.read([readReserve]))[0])) {
    await storage.commit({ durability: "relaxed", reserve: "keep", writes: [chunk] });
  }
  roomIsMade();
  await settled();
  for (const one of some) await storage.commit(one);
  expect(asked()).toBe(2);
});

it("[MV9] a tab that finds the disk full and the reserve in use does not take what is left", async () => {
  const { medium, storage } = await fullMedium();
  await storage.commit(batch(2, 100, "some"));
  const other = new ReservingStorage(await medium.open(name), () => new Promise(() => undefined));
  await expect(other.commit(batch(3, 1 << 20))).rejects.toMatchObject(full);
  await expect(other.commit(batch(3, 1))).rejects.toMatchObject(full);
  await other.commit(batch(3, 1, "some"));
});

it("[MV9] where nothing of it is left, or there was none, others may write what they can", async () => {
  const { medium, storage, roomIsMade } = await fullMedium();
  await storage.commit(batch(2, 100, "all"));
  expect(await reserved(storage)).toBe(0);
  roomIsMade();
  await new Promise((resolve) => setTimeout(resolve));
  await storage.commit(batch(3, 100));
  medium.quotaBytes = medium.usedBytes;
  await expect(storage.commit(batch(4, 100))).rejects.toMatchObject(full);
  medium.quotaBytes += 200;
  await storage.commit(batch(4, 100));
});

it("[MV9] several that need it at once all get through", async () => {
  const { storage } = await fullMedium();
  await Promise.all([2, 3, 4, 5].map((key) => storage.commit(batch(key, 100, "some"))));
});

it("[MV9] without a reserve a full disk is told, and nothing else happens", async () => {
  const medium = createMemoryStorage({ quotaBytes: 500 });
  const storage = new ReservingStorage(await medium.open(name), () => Promise.resolve());
  await storage.commit(batch(1, 400));
  await expect(storage.commit(batch(2, 400, "all"))).rejects.toMatchObject(full);
  expect((await storage.read([{ kind: "keys", store: "log", range: {} }]))[0]).toHaveLength(1);
});
