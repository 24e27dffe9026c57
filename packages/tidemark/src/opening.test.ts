import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { collection } from "./client/declare.ts";
import type * as Opening from "./opening.ts";

const collections = { rows: collection<{ id: string }>()({ key: "id" }) };

/** Starts, but its script never loads. */
class FailingWorker extends EventTarget {
  isTerminated = false;
  postMessage(): void {
    this.fail();
  }
  terminate(): void {
    this.isTerminated = true;
  }
  fail(): void {
    this.dispatchEvent(new Event("error", { cancelable: true }));
  }
}

let started: FailingWorker[] = [];
const worker = vi.fn<() => Worker>(() => {
  started.push(new FailingWorker());
  return started.at(-1) as unknown as Worker;
});
let openDatabase: typeof Opening.openDatabase;

beforeEach(async () => {
  vi.resetModules(); // the client is not there yet
  vi.stubGlobal("Worker", FailingWorker);
  started = [];
  worker.mockClear();
  ({ openDatabase } = await import("./opening.ts"));
});
afterEach(() => void vi.unstubAllGlobals());

const notLoaded = { code: "ENVIRONMENT", message: expect.stringContaining("did not load") };

describe("the worker of the first database", () => {
  test("starts before the client is there", async () => {
    const opening = openDatabase({ name: "first", collections, worker });
    expect(worker).toHaveBeenCalledOnce();
    await expect(opening).rejects.toMatchObject(notLoaded);
    expect(worker).toHaveBeenCalledOnce();
    expect(started[0]!.isTerminated).toBe(true);
  });

  test("is one, where handles wait that will share it", async () => {
    const openings = [1, 2].map(() => openDatabase({ name: "twice", collections, worker }));
    expect(worker).toHaveBeenCalledOnce();
    for (const opening of openings) await expect(opening).rejects.toMatchObject(notLoaded);
  });

  test("is started anew where it failed before anybody listened, and then tells why", async () => {
    const opening = openDatabase({ name: "failed", collections, worker });
    started[0]!.fail();
    await expect(opening).rejects.toMatchObject(notLoaded);
    expect(worker).toHaveBeenCalledTimes(2);
  });

  test("ends where nobody has a use for it", async () => {
    const opening = openDatabase({ name: "", collections, worker });
    await expect(opening).rejects.toMatchObject({ code: "OPTIONS_INVALID", details: { option: "name" } });
    expect(started.map(({ isTerminated }) => isTerminated)).toEqual([true]);
  });

  test("is not started where the engine runs here", async () => {
    const inMemory = await openDatabase({ name: "here", collections, storage: "memory" });
    await inMemory.close();
    await expect(openDatabase({ name: "none", collections, worker: false })).rejects.toMatchObject({
      details: { missing: "indexedDB" },
    });
    expect(worker).not.toHaveBeenCalled();
  });

  test("starts as it is opened where the client is there already", async () => {
    await (await openDatabase({ name: "here", collections, storage: "memory" })).close();
    await expect(openDatabase({ name: "next", collections, worker })).rejects.toMatchObject(notLoaded);
    expect(worker).toHaveBeenCalledOnce();
  });

  test("is of the options as they were at the call", async () => {
    const options = { name: "asked", collections, storage: "memory" } as const;
    const changed: { -readonly [K in keyof typeof options]: string | object } = options;
    const opening = openDatabase(options);
    changed.name = "other";
    const db = await opening;
    expect(db.name).toBe("asked");
    await db.close();
  });
});

test("a client that does not load is ENVIRONMENT, ends the worker, and may be tried again", async () => {
  const unreachable = new TypeError("Failed to fetch dynamically imported module");
  vi.doMock(import("./on-opening.ts"), () => {
    throw unreachable;
  });
  await expect(openDatabase({ name: "offline", collections, worker })).rejects.toMatchObject({ code: "ENVIRONMENT" });
  expect(started[0]!.isTerminated).toBe(true);
  vi.doUnmock("./on-opening.ts");
  const db = await openDatabase({ name: "offline", collections, storage: "memory" });
  await db.close();
});
