/**
 * The least that a database in a worker can cost: an answer, one small readwrite transaction, or one with many bytes.
 *
 *   "echo"     answers at once
 *   "put"      one put of 200 bytes, answered when it is complete
 *   "append"   one get from a second store and one add, pipelined: the shape of a Tidemark commit
 *   "pack"     bytes that came with the message, cut into pieces and put in one transaction
 */
import { openDB, unwrap } from "idb";

export type FloorRequest =
  | { readonly do: "echo" | "put" | "append" }
  | { readonly do: "pack"; readonly bytes: Uint8Array<ArrayBuffer> };
export interface FloorAnswer {
  readonly cutMs: number;
  readonly storedMs: number;
}

/** IndexedDB keeps larger values in files of their own, which is slower. */
const pieceBytes = 60_000;
const small = new Uint8Array(200);
const opened = openDB("floor", 1, {
  upgrade: (created) => {
    created.createObjectStore("log");
    created.createObjectStore("meta");
  },
}).then((db) => unwrap(db));
let key = 0;

function complete(db: IDBDatabase, pieces: readonly Uint8Array[], looksUp: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const tx = db.transaction(looksUp ? ["log", "meta"] : ["log"], "readwrite", { durability: "relaxed" });
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error ?? new Error("aborted"));
    if (looksUp) tx.objectStore("meta").get("fence");
    for (const piece of pieces) tx.objectStore("log").add(piece, ++key);
    tx.commit();
  });
}

/** Each piece a copy: a view would take the whole buffer along. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.slice(at, at + pieceBytes));
  return pieces;
}

self.onmessage = async ({ data }: MessageEvent<FloorRequest>) => {
  const db = await opened;
  const since = performance.now();
  const pieces = data.do === "pack" ? cut(data.bytes) : [small];
  const cutAt = performance.now();
  if (data.do !== "echo") await complete(db, pieces, data.do === "append");
  self.postMessage({ cutMs: cutAt - since, storedMs: performance.now() - cutAt } satisfies FloorAnswer);
};
