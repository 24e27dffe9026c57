import "fake-indexeddb/auto";
import { forceCloseDatabase } from "fake-indexeddb";
import { afterEach, describe, expect, it, vi } from "vitest";
import { storageConformance } from "./conformance.ts";
import { type Batch, get } from "./contract.ts";
import { indexedDbStorage } from "./indexeddb.ts";

const batch: Batch = { durability: "strict", writes: [{ kind: "put", store: "log", key: 1, value: Uint8Array.of(1) }] };

describe("conformance", () => {
  it.each(storageConformance)("$title", async ({ run }) => {
    await expect(run(async () => indexedDbStorage())).resolves.toBeUndefined();
  });
});

describe("failures", () => {
  const factory = indexedDbStorage();
  let count = 0;
  const fresh = (): string => `failures ${++count}`;
  /** Opens a database and gives the browser's connection behind it, too. */
  async function opened(name = fresh()) {
    const transaction = vi.spyOn(IDBDatabase.prototype, "transaction");
    const storage = await factory.open(name);
    await storage.read([]);
    return { name, storage, db: transaction.mock.contexts.at(-1) as IDBDatabase };
  }
  const failing = (error: string) => () => {
    throw new DOMException("so it is told", error);
  };
  /** Makes transactions abort with this error where they should commit. */
  function abortAtCommit(error: string): void {
    vi.spyOn(IDBTransaction.prototype, "commit").mockImplementation(function (this: IDBTransaction) {
      (this as unknown as { _abort: (name: string) => void })["_abort"](error);
    });
  }
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  it("[MV9] a full disk is QUOTA_EXCEEDED, at the request or at the end", async () => {
    const { storage } = await opened();
    const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(failing("QuotaExceededError"));
    await expect(storage.commit(batch)).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    put.mockRestore();
    abortAtCommit("QuotaExceededError");
    await expect(storage.commit(batch)).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    vi.restoreAllMocks();
    expect(await storage.read([get("log", 1)])).toEqual([[]]);
  });

  it.each([
    ["Safari", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15", 0],
    ["Chrome on iOS", "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Safari/604.1", 0],
    ["Chrome", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36", 2],
    ["Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", 2],
  ])(
    "[TB1] commits early but in WebKit, where a reload would leave the transaction open: %s",
    async (_, userAgent, n) => {
      vi.stubGlobal("navigator", { userAgent });
      const { storage } = await opened();
      const commit = vi.spyOn(IDBTransaction.prototype, "commit");
      expect((await storage.commit(batch)).status).toBe("committed");
      expect(await storage.read([get("log", 1)])).toEqual([[{ key: 1, value: Uint8Array.of(1) }]]);
      expect(commit).toHaveBeenCalledTimes(n);
    },
  );

  it("does not list what was not made after all, which WebKit does, as of version 0", async () => {
    const databases = async () => [
      { name: "tidemark/undone", version: 0 },
      { name: "tidemark/made", version: 1 },
    ];
    vi.stubGlobal("indexedDB", { databases });
    expect(await factory.list()).toEqual(["made"]);
  });

  it("[MV9] an abort out of nowhere is STORAGE_LOST, and the connection stays lost", async () => {
    for (const name of ["AbortError", "UnknownError", "InvalidStateError"]) {
      const { storage } = await opened();
      abortAtCommit(name);
      const lost = { code: "STORAGE_LOST", details: { outcome: "unknown" } };
      await expect(storage.commit(batch)).rejects.toMatchObject(lost);
      vi.restoreAllMocks();
      await expect(storage.commit(batch)).rejects.toMatchObject({ ...lost, details: { outcome: "none" } });
      await expect(storage.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
    }
  });

  it("[MV9] a connection taken away is STORAGE_LOST; opening again works", async () => {
    const { name, storage, db } = await opened();
    forceCloseDatabase(db as unknown as typeof IDBDatabase); // so its types have it
    await expect(storage.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
    const again = await factory.open(name);
    expect((await again.commit(batch)).status).toBe("committed");
    await storage.close();
    await expect(storage.read([])).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("a connection that was closed behind our back is STORAGE_LOST with nothing done", async () => {
    const { storage, db } = await opened();
    db.close();
    const lost = { code: "STORAGE_LOST", details: { outcome: "none" } };
    await expect(storage.commit(batch)).rejects.toMatchObject(lost);
  });

  it("a read that fails before the write that completes leaves the outcome unknown", async () => {
    const { storage } = await opened();
    vi.spyOn(IDBObjectStore.prototype, "get").mockImplementation(function (this: IDBObjectStore) {
      const request = this.count();
      request.addEventListener("success", (event) => {
        event.stopImmediatePropagation();
        Object.defineProperty(request, "error", { value: new DOMException("gone", "NotReadableError") });
        this.transaction.onerror?.(new Proxy(event, { get: (_, name) => (name === "target" ? request : undefined) }));
      });
      return request;
    });
    const writing = storage.commit({ ...batch, reads: [get("log", 1)] });
    await expect(writing).rejects.toMatchObject({ code: "STORAGE_LOST", details: { outcome: "unknown" } });
    const reading = (await opened()).storage.read([get("log", 1)]);
    await expect(reading).rejects.toMatchObject({ code: "CORRUPT" });
  });

  it("an invalid key is a bug, and undoes the batch", async () => {
    const { storage } = await opened();
    const wrong = { kind: "delete", store: "log", key: Number.NaN } as const;
    const writes = [...(batch.writes as []), wrong];
    await expect(storage.commit({ durability: "strict", writes })).rejects.toMatchObject({ code: "INTERNAL" });
    expect(await storage.read([get("log", 1)])).toEqual([[]]);
  });

  it("removing an open database closes its connections", async () => {
    const { name, storage } = await opened();
    await factory.remove(name);
    await expect(storage.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
    expect(await factory.list()).not.toContain(name);
  });

  it("removing a database that somebody holds on to is BUSY", async () => {
    const name = fresh();
    const holding = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open(`tidemark/${name}`, 1);
      request.addEventListener("success", () => resolve(request.result));
    });
    await expect(indexedDbStorage({ removeTimeoutMs: 20 }).remove(name)).rejects.toMatchObject({ code: "BUSY" });
    holding.close();
    await factory.remove(name);
  });

  it("a newer version is FORMAT_UNSUPPORTED, missing stores are CORRUPT", async () => {
    for (const [version, code] of [
      [2, "FORMAT_UNSUPPORTED"],
      [1, "CORRUPT"],
    ] as const) {
      const name = fresh();
      await new Promise<void>((resolve) => {
        const request = indexedDB.open(`tidemark/${name}`, version);
        request.addEventListener("success", () => resolve(request.result.close()));
      });
      await expect(factory.open(name)).rejects.toMatchObject({ code });
      await factory.remove(name);
    }
  });

  it("without IndexedDB, or where it is forbidden, everything is ENVIRONMENT", async () => {
    const forbidden = {
      open: failing("SecurityError"),
      deleteDatabase: failing("SecurityError"),
      databases: failing("SecurityError"),
    };
    for (const value of [undefined, forbidden]) {
      vi.stubGlobal("indexedDB", value);
      for (const call of [factory.open("a"), factory.remove("a"), factory.list()]) {
        await expect(call).rejects.toMatchObject({ code: "ENVIRONMENT" });
      }
    }
  });
});
