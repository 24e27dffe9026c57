import { expect, test } from "vitest";
import { tabId } from "../base/brand.ts";
import { get, type Storage, valueOf } from "../storage/contract.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { readFence } from "../wal/log.ts";
import { readPin } from "./holders.ts";
import { create, drop, isDropped } from "./recovery.ts";
import { Store } from "./store.ts";

const random = { next: () => 0.5, id: () => "x" };
const tab = tabId("t");
const join = (storage: Storage, make?: () => Promise<void>): Promise<Store> =>
  Store.open(storage, { tab, isLone: false, cacheMaxBytes: 1, create: make });
const isPinned = async (storage: Storage): Promise<boolean> => {
  const [row] = await storage.read([readPin(tab)]);
  return valueOf(row) !== undefined;
};

test("whoever joins where there is no database makes it, and has a pin in it", async () => {
  const storage = await createMemoryStorage().open("new");
  const store = await join(storage, () => create(storage, random));
  expect([store.head.seq, await isPinned(storage)]).toEqual([0, true]);
});

test("whoever may not make a database writes nothing where there is none", async () => {
  const storage = await createMemoryStorage().open("none");
  await expect(join(storage)).rejects.toMatchObject({ code: "STORAGE_LOST" });
  expect(await storage.read([readFence, readPin(tab)])).toEqual([[], []]);
});

test("a deleted database is made anew by whoever joins it", async () => {
  const storage = await createMemoryStorage().open("dropped");
  await create(storage, random);
  await drop(storage, random);
  await join(storage, () => create(storage, random));
  expect([await isDropped(storage), await isPinned(storage)]).toEqual([false, true]);
});

test("a database of a newer format is refused before anything is written", async () => {
  const storage = await createMemoryStorage().open("newer");
  await create(storage, random);
  const format = { kind: "put", store: "meta", key: "format", value: Uint8Array.of(200) } as const;
  await storage.commit({ durability: "strict", writes: [format] });
  await expect(join(storage)).rejects.toMatchObject({ code: "FORMAT_UNSUPPORTED", details: { found: 200 } });
  expect([await isPinned(storage), valueOf((await storage.read([get("meta", "format")]))[0])]).toEqual([
    false,
    format.value,
  ]);
});
