import { describe, expect, it } from "vitest";
import { TidemarkError } from "../base/errors.ts";
import { storageConformance } from "./conformance.ts";
import { type Batch, get, type Storage, type StorageFactory, type Write } from "./contract.ts";
import { createMemoryStorage, type MemoryMedium, type Step, type Verdict } from "./memory.ts";
import { type Admission, ReopeningStorage } from "./reopening.ts";

const name = "db";
const put = (key: number): Write => ({ kind: "put", store: "log", key, value: Uint8Array.of(key) });
const batch = (key: number, more: Partial<Batch> = {}): Batch => ({
  durability: "strict",
  writes: [put(key)],
  ...more,
});
const never = (): Promise<never> => new Promise(() => undefined);

/** Connections that are opened anew whenever they are lost, to a medium whose steps meet `verdicts` in turn. */
class Lossy {
  readonly medium: MemoryMedium = createMemoryStorage();
  /** What happened, in order. */
  readonly events: string[] = [];
  admission: Admission = "same";
  verdicts: ((step: Step) => Verdict)[] = [];

  constructor() {
    this.medium.onStep = (step) => {
      const verdict = this.verdicts.shift()?.(step) ?? "go";
      this.events.push(verdict === "go" ? step.kind : `${step.kind} ${verdict}`);
      return verdict;
    };
  }

  async open(): Promise<ReopeningStorage> {
    const storage = new ReopeningStorage(await this.medium.open(name), {
      reopen: () => this.medium.reopen(name),
      sleep: (ms) => (ms >= 10_000 ? never() : Promise.resolve()),
    });
    storage.admit = async (fresh) => {
      await fresh.read([]);
      this.events.push("admitted");
      return this.admission;
    };
    return storage;
  }

  next(...verdicts: Verdict[]): void {
    this.verdicts = verdicts.map((verdict) => () => verdict);
  }
}

async function opened(): Promise<{ lossy: Lossy; storage: ReopeningStorage }> {
  const lossy = new Lossy();
  const storage = await lossy.open();
  await storage.commit(batch(1));
  lossy.events.length = 0;
  return { lossy, storage };
}

const keysIn = async (storage: Storage): Promise<unknown[]> =>
  (await storage.read([{ kind: "keys", store: "log", range: {} }]))[0]!.map((e) => e.key);

describe("conformance", () => {
  it.each(storageConformance)("$title", async ({ run }) => {
    const medium = createMemoryStorage();
    const lasting = (connection: Storage): Storage =>
      new ReopeningStorage(connection, { reopen: () => medium.reopen(name), sleep: never });
    const factory: StorageFactory = {
      open: async (database) => lasting(await medium.open(database)),
      reopen: async (database) => {
        const connection = await medium.reopen(database);
        return connection && lasting(connection);
      },
      remove: (database) => medium.remove(database),
      list: () => medium.list(),
    };
    await expect(run(async () => factory)).resolves.toBeUndefined();
  });
});

describe("a lost connection", () => {
  it("[MV9] is opened anew; a read is made again, once the new one was looked at", async () => {
    const { lossy, storage } = await opened();
    lossy.next("lost");
    expect(await keysIn(storage)).toEqual([1]);
    expect(lossy.events).toEqual(["read lost", "read", "admitted", "read"]);
  });

  it("[MV9] costs a commit nothing that was not sent", async () => {
    const { lossy, storage } = await opened();
    lossy.next("cut");
    expect(await storage.commit(batch(2))).toMatchObject({ status: "committed" });
    expect(lossy.events).toEqual(["commit cut", "read", "admitted", "commit", "committed"]);
  });

  it.each(["commit", "committed"] as const)(
    "[MV9] at '%s' leaves open whether a commit was done, and it is not sent again",
    async (at) => {
      const { lossy, storage } = await opened();
      lossy.next(...(at === "commit" ? (["lost"] as const) : (["go", "lost"] as const)));
      const lost = { code: "STORAGE_LOST", details: { outcome: "unknown" } };
      await expect(storage.commit(batch(2))).rejects.toMatchObject(lost);
      expect(await keysIn(storage)).toEqual(at === "commit" ? [1] : [1, 2]);
      expect(lossy.events.filter((e) => e.startsWith("commit ") || e === "commit")).toHaveLength(1);
    },
  );

  it("[MV9] what may be done twice is sent again", async () => {
    const { lossy, storage } = await opened();
    lossy.next("go", "lost");
    expect(await storage.commit(batch(2, { isRepeatable: true }))).toMatchObject({ status: "committed" });
    expect(lossy.events).toEqual(["commit", "committed lost", "read", "admitted", "commit", "committed"]);
  });

  it("[MV9] where memory had to be replaced, commits made from it fail, also those made meanwhile", async () => {
    const { lossy, storage } = await opened();
    lossy.admission = "changed";
    lossy.next("cut");
    const before = storage.commit(batch(2));
    const repeatable = storage.commit(batch(3, { isRepeatable: true }));
    const read = keysIn(storage);
    const none = { code: "STORAGE_LOST", details: { outcome: "none" } };
    await expect(before).rejects.toMatchObject(none);
    await repeatable;
    expect(await read).toContain(1);
    expect(await keysIn(storage)).toEqual([1, 3]);
    await storage.commit(batch(4));
    expect(await keysIn(storage)).toEqual([1, 3, 4]);
  });

  it("[MV9] calls made while it is opened anew wait; nothing is served before it was looked at", async () => {
    const { lossy, storage } = await opened();
    lossy.next("lost");
    let release = (): void => undefined;
    const looked = new Promise<void>((resolve) => (release = resolve));
    let calls = 0;
    storage.admit = async () => {
      calls++;
      await looked;
      return "changed";
    };
    const first = keysIn(storage);
    const none = { code: "STORAGE_LOST", details: { outcome: "none" } };
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const meanwhile = [keysIn(storage), storage.commit(batch(2))] as const;
    const refused = meanwhile[1].catch((e: unknown) => e);
    for (let i = 0; i < 50; i++) await Promise.resolve();
    expect(lossy.events).toEqual(["read lost"]);
    release();
    expect([await first, await meanwhile[0]]).toEqual([[1], [1]]);
    expect(await refused).toMatchObject(none);
    expect(calls).toBe(1);
  });

  it("[MV9] several calls that it takes along share the new one", async () => {
    const { lossy, storage } = await opened();
    lossy.next("lost");
    const all = Array.from({ length: 5 }, () => keysIn(storage));
    expect(await Promise.all(all)).toEqual(all.map(() => [1]));
    expect(lossy.events.filter((e) => e === "admitted")).toHaveLength(1);
  });

  it("[MV9] is given up after a few tries, and tried again by the next call", async () => {
    const { lossy, storage } = await opened();
    lossy.verdicts = Array.from({ length: 5 }, () => () => "lost" as const);
    await expect(storage.read([])).rejects.toMatchObject({ code: "STORAGE_LOST", details: { outcome: "none" } });
    expect(lossy.verdicts).toEqual([]);
    expect(await keysIn(storage)).toEqual([1]);
  });

  it("[MV9] that is lost again and again fails the call in the end", async () => {
    const { lossy, storage } = await opened();
    lossy.medium.onStep = ({ kind }) => (kind === "commit" ? "cut" : "go");
    await expect(storage.commit(batch(2))).rejects.toMatchObject({
      code: "STORAGE_LOST",
      details: { outcome: "none" },
    });
    lossy.medium.onStep = undefined;
    expect(await keysIn(storage)).toEqual([1]);
  });

  it("[MV9] a browser that does not answer is tried again; what it answers too late is closed", async () => {
    const medium = createMemoryStorage();
    const late: Storage[] = [];
    let answer = (): void => undefined;
    let tries = 0;
    const storage = new ReopeningStorage(await medium.open(name), {
      reopen: async () => {
        if (++tries > 1) return medium.reopen(name);
        await new Promise<void>((resolve) => (answer = resolve));
        const connection = (await medium.reopen(name))!;
        late.push(connection);
        return connection;
      },
      sleep: () => new Promise((resolve) => setTimeout(resolve, 1)),
    });
    storage.admit = () => Promise.resolve("same");
    medium.crash();
    expect(await storage.read([get("log", 1)])).toEqual([[]]);
    expect(tries).toBe(2);
    answer();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(late[0]!.read([])).rejects.toMatchObject({ code: "CLOSED" });
    expect(await storage.read([get("log", 1)])).toEqual([[]]);
  });

  it("[MV9] of a database that is gone ends with CLOSED for good, and makes no other", async () => {
    const { lossy, storage } = await opened();
    await lossy.medium.remove(name);
    const closed = { code: "CLOSED", details: { reason: "deleted" } };
    await expect(storage.commit(batch(2))).rejects.toMatchObject(closed);
    expect(await lossy.medium.list()).toEqual([]);
    await lossy.medium.open(name);
    await expect(storage.read([])).rejects.toMatchObject(closed);
    expect(lossy.events).toEqual([]);
  });

  it("[MV9] to a database that is not admitted is closed, and nothing of it is ever served", async () => {
    const { lossy, storage } = await opened();
    let fresh: Storage | undefined;
    storage.admit = (connection) => {
      fresh = connection;
      return Promise.reject(new TidemarkError("CLOSED", "another", { reason: "deleted" }));
    };
    lossy.next("lost");
    for (let i = 0; i < 2; i++) await expect(storage.read([])).rejects.toMatchObject({ code: "CLOSED" });
    await expect(fresh!.read([])).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("[MV9] is not opened anew after `close`, nor before anybody remembers anything", async () => {
    const { lossy, storage } = await opened();
    lossy.next("lost");
    const reading = storage.read([]);
    await storage.close();
    await expect(reading).rejects.toMatchObject({ code: "CLOSED" });

    const early = await lossy.open();
    early.admit = undefined;
    lossy.next("lost");
    await expect(early.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
    await expect(early.read([])).rejects.toMatchObject({ code: "STORAGE_LOST" });
  });
});
