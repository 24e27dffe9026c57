import { collection, openDatabase } from "tidemark";
import type { Item } from "../items.ts";
import type { Opened, Peer, Table } from "./peer.ts";

const items = collection<Item>()({ key: "id", indexes: { listId: "listId" } });
const collections = { items, warmup: items };

/** With its defaults. */
export const tidemark: Peer = { open: (name) => open(name, {}) };

/** Keeps all that is measured in the memtable; by default it would begin to fold it into blocks at 4 MB. */
export const tidemarkUnfolded: Peer = { open: (name) => open(name, { memtableMaxBytes: 256 * 1024 * 1024 }) };

async function open(name: string, options: { memtableMaxBytes?: number }): Promise<Opened> {
  const db = await openDatabase({ name, collections, ...options });
  const table = (of: "items" | "warmup"): Table => {
    const records = db.collection(of);
    return {
      putMany: (values) => records.putMany(values),
      put: (value) => records.put(value),
      get: (id) => records.get(id),
      getMany: (ids) => records.getMany(ids),
      all: () => records.all(),
      count: () => records.count(),
      countOfList: (listId) => records.where("listId").equals(listId).count(),
    };
  };
  return {
    name,
    items: table("items"),
    warmup: table("warmup"),
    fold: () => db.checkpoint(),
    close: () => db.close(),
  };
}
