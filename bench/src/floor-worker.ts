/**
 * The least that a database in a worker can cost: an answer, and one small readwrite transaction.
 *
 *   "echo"     answers at once
 *   "put"      one put of 200 bytes, answered when it is complete
 *   "append"   one get from a second store and one add, pipelined: the shape of a Tidemark commit
 */
import { openDB, unwrap } from "idb";

export type FloorRequest = "echo" | "put" | "append";

const bytes = new Uint8Array(200);
const opened = openDB("floor", 1, {
  upgrade: (created) => {
    created.createObjectStore("log");
    created.createObjectStore("meta");
  },
}).then((db) => unwrap(db));
let key = 0;

function complete(db: IDBDatabase, request: Exclude<FloorRequest, "echo">): Promise<void> {
  return new Promise((resolve, reject) => {
    const stores = request === "put" ? ["log"] : ["log", "meta"];
    const tx = db.transaction(stores, "readwrite", { durability: "relaxed" });
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error ?? new Error("aborted"));
    if (request === "put") tx.objectStore("log").put(bytes, ++key);
    else {
      tx.objectStore("meta").get("fence");
      tx.objectStore("log").add(bytes, ++key);
    }
    tx.commit();
  });
}

self.onmessage = async ({ data }: MessageEvent<FloorRequest>) => {
  const db = await opened;
  const since = performance.now();
  if (data !== "echo") await complete(db, data);
  self.postMessage(performance.now() - since);
};
