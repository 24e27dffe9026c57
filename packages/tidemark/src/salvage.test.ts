import "fake-indexeddb/auto";
import { describe, expect, test, vi } from "vitest";
import { resealed } from "./base/mutations.test-support.ts";
import { collection, type Database, openDatabase } from "./index.ts";
import type { DamageReport } from "./protocol/messages.ts";
import { bytesOf, streamOf } from "./transfer.test-support.ts";

vi.setConfig({ testTimeout: 60_000 });

interface Row {
  id: string;
  n: number;
  pad: string;
}
const rows = collection<Row>()({ key: "id", indexes: { n: "n" } });
const others = collection<{ id: number; blob?: Uint8Array }>()({ key: "id" });
const declarations = { rows, others };
type Shop = Database<typeof declarations>;

const row = (i: number, n = i): Row => ({ id: `r${String(i).padStart(4, "0")}`, n, pad: `${i}`.padEnd(150, "x") });
const range = (from: number, to: number): Row[] => Array.from({ length: to - from }, (_, i) => row(from + i));

let made = 0;
const open = (name: string): Promise<Shop> =>
  openDatabase({ name, worker: false, collections: declarations, cacheMaxBytes: 65_536 });
const openFresh = (): Promise<Shop> =>
  openDatabase({ name: `fresh-${made++}`, worker: false, storage: "memory", collections: declarations });

/** A database of many blocks, closed. */
async function filled(write: (db: Shop) => Promise<void>): Promise<string> {
  const name = `salvage-${made++}`;
  const db = await open(name);
  await write(db);
  await db.checkpoint();
  await db.close();
  return name;
}

/** Runs `change` on a store of the database below everything of ours. */
function onStore<T>(name: string, store: string, change: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(`tidemark/${name}`);
    opening.onerror = () => reject(opening.error!);
    opening.onsuccess = () => {
      const db = opening.result;
      const request = change(db.transaction(store, "readwrite").objectStore(store));
      request.onerror = () => reject(request.error!);
      request.onsuccess = () => {
        db.close();
        resolve(request.result);
      };
    };
  });
}

async function flip(name: string, store: string, key: IDBValidKey, at: number): Promise<void> {
  const bytes = (await onStore(name, store, (s) => s.get(key) as IDBRequest<Uint8Array>)).slice();
  bytes[at % bytes.length]! ^= 4;
  await onStore(name, store, (s) => s.put(bytes, key));
}

/** What comes out of a salvage, by way of a fresh database. */
async function salvaged(name: string): Promise<{ rows: Row[]; others: unknown[]; damage: readonly DamageReport[] }> {
  const db = await open(name);
  const bytes = await bytesOf(db.salvage());
  await db.close();
  const fresh = await openFresh();
  const { damage = [] } = await fresh.import(streamOf(bytes, [777]));
  const found = { rows: await fresh.collection("rows").all(), others: await fresh.collection("others").all(), damage };
  await fresh.close();
  return found;
}

describe("salvage", () => {
  test("[MV8] of an intact database is all of it, without damage", async () => {
    const name = await filled(async (db) => {
      await db.collection("rows").putMany(range(0, 300));
      await db.collection("others").put({ id: 1 });
    });
    expect(await salvaged(name)).toEqual({ rows: range(0, 300), others: [{ id: 1 }], damage: [] });
  });

  test("[MV8] a value that cannot be read, though its block is intact, is passed over and told", async () => {
    const name = await filled(async (db) => {
      await db.collection("others").putMany([{ id: 1 }, { id: 2 }, { id: 3 }]);
    });
    for (const id of await onStore(name, "blocks", (s) => s.getAllKeys())) {
      const bytes = await onStore(name, "blocks", (s) => s.get(id) as IDBRequest<Uint8Array>);
      const at = Buffer.from(bytes).indexOf('{"id":2}');
      if (at < 0) continue;
      const changed = bytes.slice();
      changed[at] = 0x5b;
      await onStore(name, "blocks", (s) => s.put(resealed(changed, bytes), id));
    }
    const found = await salvaged(name);
    expect(found.others).toEqual([{ id: 1 }, { id: 3 }]);
    const key = { collection: "others", key: 2 };
    expect(found.damage).toMatchObject([{ what: "value", from: key, to: key }]);
  });

  test("[MV8] whichever block is damaged, everything outside of it comes out and is imported", async () => {
    const name = await filled(async (db) => {
      await db.collection("rows").putMany(range(0, 1200));
      await db.collection("others").putMany([{ id: 1 }, { id: 2 }]);
    });
    const blocks = (await onStore(name, "blocks", (s) => s.getAllKeys())) as number[];
    expect(blocks.length).toBeGreaterThan(4);
    let records = 0;
    for (const [i, id] of blocks.entries()) {
      const at = i % 2 === 0 ? 200 + i : 3;
      await flip(name, "blocks", id, at);
      const db = await open(name).catch(() => undefined);
      if (!db) {
        await flip(name, "blocks", id, at); // the catalog's own
        continue;
      }
      const verified = await db.verify();
      expect(verified.damage).toHaveLength(1);
      await db.close();
      const { rows: found, damage } = await salvaged(name);
      const [hurt] = verified.damage;
      const isLost = (key: string): boolean =>
        hurt!.from?.collection === "rows" &&
        hurt!.from.index === undefined &&
        key >= (hurt!.from.key as string) &&
        (hurt!.to?.collection !== "rows" || hurt!.to.index !== undefined || key <= (hurt!.to.key as string));
      expect(found).toEqual(range(0, 1200).filter(({ id: key }) => !isLost(key)));
      if (found.length < 1200) {
        records++;
        expect(damage).toEqual([{ ...hurt, why: expect.any(String) as string }]);
      }
      await flip(name, "blocks", id, at); // as it was
    }
    expect(records).toBeGreaterThan(2);
    expect((await salvaged(name)).damage).toEqual([]);
  });

  test("[MV8] blocks that are not there at all are passed over too, several at once", async () => {
    const name = await filled((db) =>
      db
        .collection("rows")
        .putMany(range(0, 1200))
        .then(() => undefined),
    );
    const db = await open(name);
    const blocks = (await onStore(name, "blocks", (s) => s.getAllKeys())) as number[];
    for (const id of blocks.slice(1, 3)) await onStore(name, "blocks", (s) => s.delete(id));
    const { damage: told } = await db.verify();
    await db.close();
    const { rows: found, damage } = await salvaged(name);
    expect(damage).toEqual(told.filter(({ from }) => from?.index === undefined));
    expect(found.length).toBeGreaterThan(400);
    const lost = range(0, 1200).filter((r) => !found.some(({ id }) => id === r.id));
    const within = ({ id }: Row): boolean =>
      damage.some(({ from, to }) => id >= (from!.key as string) && id <= (to!.key as string));
    expect(lost.length).toBeGreaterThan(100);
    expect(lost.filter((r) => !within(r))).toEqual([]);
  });

  test("[MV8] of a record whose newest version was lost an older one may come out, never one that was not there", async () => {
    const name = await filled(async (db) => {
      await db.collection("rows").putMany(range(0, 600));
      await db.checkpoint();
      for (let i = 0; i < 600; i += 3) await db.collection("rows").put(row(i, 10_000 + i));
    });
    for (const id of (await onStore(name, "blocks", (s) => s.getAllKeys())) as number[]) {
      await flip(name, "blocks", id, 150);
      const isOpen = await open(name).then(
        (db) => db.close().then(() => true),
        () => false,
      );
      if (isOpen) {
        for (const one of (await salvaged(name)).rows) {
          const i = Number(one.id.slice(1));
          expect([i, ...(i % 3 === 0 ? [10_000 + i] : [])]).toContain(one.n);
        }
      }
      await flip(name, "blocks", id, 150);
    }
  });

  test("[MV8] a large value that is damaged is missing and told; its neighbours come out", async () => {
    const large = (id: number): { id: number; blob: Uint8Array } => ({ id, blob: new Uint8Array(200_000).fill(id) });
    const name = await filled((db) =>
      db
        .collection("others")
        .putMany([large(1), large(2), large(3)])
        .then(() => undefined),
    );
    const chunks = ((await onStore(name, "blobs", (s) => s.getAllKeys())) as number[]).filter((key) => key >= 0);
    expect(chunks.length).toBeGreaterThan(5);
    await flip(name, "blobs", chunks[Math.floor(chunks.length / 2)]!, 1000);
    const { others: found, damage } = await salvaged(name);
    expect(found).toEqual([large(1), large(3)]);
    const key = { collection: "others", key: 2 };
    expect(damage).toEqual([{ what: "value", why: expect.any(String) as string, from: key, to: key }]);
  });

  test("an export of a damaged database fails and says where; nothing is passed over in silence", async () => {
    const name = await filled((db) =>
      db
        .collection("rows")
        .putMany(range(0, 1200))
        .then(() => undefined),
    );
    const blocks = (await onStore(name, "blocks", (s) => s.getAllKeys())) as number[];
    await flip(name, "blocks", blocks[1]!, 300);
    const db = await open(name);
    await expect(bytesOf(db.export())).rejects.toMatchObject({
      code: "CORRUPT",
      details: { from: { collection: "rows" } },
    });
    await db.close();
  });
});
