import { beforeAll, describe, expect, it, vi } from "vitest";
import { storageConformance } from "./conformance.ts";
import { type Batch, get } from "./contract.ts";
import { indexedDbStorage } from "./indexeddb.ts";

const factory = indexedDbStorage();
/** Bytes that do not compress. */
function noise(lengthBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthBytes);
  for (let at = 0; at < lengthBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}
const batch = (key: number, lengthBytes = 1): Batch => ({
  durability: "strict",
  writes: [{ kind: "put", store: "blobs", key, value: noise(lengthBytes) }],
});

describe("conformance", () => {
  const uncaught: unknown[] = [];
  const note = (event: Event): void => void uncaught.push(event.type);
  beforeAll(() => {
    addEventListener("error", note);
    addEventListener("unhandledrejection", note);
  });
  it.each(storageConformance)("$title", async ({ run }) => {
    await expect(run(async () => factory)).resolves.toBeUndefined();
  });

  it("nothing of this went uncaught", () => {
    expect(uncaught).toEqual([]);
  });
});

it("a connection has closed when its transactions have ended, which is after a read is answered", async () => {
  const storage = await factory.open("ends");
  await storage.commit(batch(1));
  const begun = vi.spyOn(IDBDatabase.prototype, "transaction");
  try {
    const answered = storage.read([get("blobs", 1)]);
    const others = [storage.commit(batch(2)), storage.read([get("blobs", 2)])];
    let ended = 0;
    for (const { value } of begun.mock.results) {
      const tx = value as IDBTransaction;
      const tell = tx.oncomplete;
      tx.oncomplete = (event) => {
        ended += 1;
        tell?.call(tx, event);
      };
    }
    await answered;
    expect(ended).toBe(0);
    await storage.close();
    expect(ended).toBe(3);
    await Promise.all(others);
  } finally {
    begun.mockRestore();
    await factory.remove("ends");
  }
});

it("removing an open database closes its connections", async () => {
  const storage = await factory.open("removed");
  await storage.commit(batch(1));
  await factory.remove("removed");
  await expect(storage.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
  expect(await factory.list()).not.toContain("removed");
});

it("removing a database that somebody holds on to is BUSY, and happens when they let go", async () => {
  await factory.remove("held");
  const holding = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open("tidemark/held", 1);
    request.addEventListener("success", () => resolve(request.result));
  });
  await expect(indexedDbStorage({ removeTimeoutMs: 100 }).remove("held")).rejects.toMatchObject({ code: "BUSY" });
  holding.close();
  const storage = await factory.open("held"); // waits for the removal
  expect((await storage.commit(batch(1))).status).toBe("committed");
  await storage.close();
  await factory.remove("held");
});

interface Bucket {
  readonly indexedDB: IDBFactory;
}
interface StorageBuckets {
  open: (name: string, options: { readonly quota: number }) => Promise<Bucket>;
  delete: (name: string) => Promise<void>;
}
const { storageBuckets } = navigator as unknown as { readonly storageBuckets?: StorageBuckets };

it.runIf(storageBuckets)("[MV9] a full disk fails the commit, leaves all readable and lets deletes pass", async () => {
  const bucket = await storageBuckets!.open("small", { quota: 2_000_000 });
  vi.stubGlobal("indexedDB", bucket.indexedDB);
  const storage = await factory.open("full");
  try {
    await storage.commit(batch(1));
    let failure: unknown;
    for (let key = 2; key < 20 && failure === undefined; key++) {
      failure = await storage.commit(batch(key, 500_000)).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(failure).toMatchObject({ code: "QUOTA_EXCEEDED" });
    expect((await storage.read([get("blobs", 1)]))[0]).toHaveLength(1);
    const everything = { kind: "deleteRange", store: "blobs", range: {} } as const;
    expect((await storage.commit({ durability: "strict", writes: [everything] })).status).toBe("committed");
  } finally {
    await storage.close();
    vi.unstubAllGlobals();
    await storageBuckets!.delete("small");
  }
});
