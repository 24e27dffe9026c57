/** In a real browser, with a real worker: where slices of background work come from. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { collection, type Database, deleteDatabase, openDatabase, type SliceFigures } from "./index.ts";

const rows = collection<{ id: number; pad: string }>()({ key: "id" });
const name = "idle-grants";
const pad = "x".repeat(1000);

let db: Database<{ rows: typeof rows }>;
let asked: ReturnType<typeof vi.spyOn>;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const figures = async (): Promise<SliceFigures> => (await db.storage.metrics()).slices;

/** Enough for a fold, and less than half of the limit. */
const putSome = (from: number): Promise<unknown> =>
  db.collection("rows").putMany(Array.from({ length: 68 }, (_, i) => ({ id: from + i, pad })));

/** Looks rarely: the look itself is a call of the page. */
const folded = (): Promise<void> =>
  expect.poll(async () => (await db.storage.metrics()).logEntries, { interval: 100, timeout: 8000 }).toBe(0);

/** Resolves when no idle callback was asked for in a quarter of a second. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== asked.mock.calls.length; await sleep(250)) before = asked.mock.calls.length;
}

beforeEach(async () => {
  await deleteDatabase(name);
  asked = vi.spyOn(globalThis, "requestIdleCallback");
  db = await openDatabase({ name, collections: { rows }, memtableMaxBytes: 64 * 1024 });
  await quiet();
});

afterEach(async () => {
  await db.close();
  vi.restoreAllMocks();
  Reflect.deleteProperty(document, "visibilityState");
  await deleteDatabase(name);
});

describe("slices of background work", () => {
  test("[VG10] are granted from idle callbacks, which are asked for only while work waits", async () => {
    const before = asked.mock.calls.length;
    await db.collection("rows").get(1);
    await sleep(300);
    expect(asked).toHaveBeenCalledTimes(before);
    await putSome(0);
    await folded();
    await quiet();
    const after = asked.mock.calls.length;
    expect(after).toBeGreaterThan(before);
    const { bySource, longestMs, slices } = await figures();
    expect(bySource.grant).toBeGreaterThan(0);
    expect(bySource).toMatchObject({ assist: 0, headlong: 0 });
    expect(slices).toBeGreaterThan(0);
    expect(longestMs).toBeGreaterThanOrEqual(0);
    await sleep(500);
    expect(asked).toHaveBeenCalledTimes(after); // an idle page does nothing
  });

  test("[VG10] none is granted while calls are outstanding, and upkeep goes on all the same", async () => {
    const { grant } = (await figures()).bySource;
    const over = new AbortController();
    const chain = async (): Promise<void> => {
      while (!over.signal.aborted) await db.collection("rows").get(1);
    };
    const chains = [chain(), chain(), chain()];
    await putSome(0);
    await folded();
    const { bySource } = await figures();
    over.abort();
    await Promise.all(chains);
    expect(bySource.grant).toBe(grant);
    expect(bySource.busy + bySource.timer).toBeGreaterThan(0);
  });

  test("[VG10] a hidden page asks for nothing, and its worker goes on by its own timer", async () => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
    const calls = asked.mock.calls.length;
    const { grant, timer } = (await figures()).bySource;
    await putSome(0);
    await folded();
    const hidden = (await figures()).bySource;
    expect(hidden.timer).toBeGreaterThan(timer);
    expect(hidden.grant).toBe(grant);
    expect(asked).toHaveBeenCalledTimes(calls);
    Reflect.deleteProperty(document, "visibilityState");
    document.dispatchEvent(new Event("visibilitychange"));
    await putSome(100);
    await folded();
    expect((await figures()).bySource.grant).toBeGreaterThan(grant);
    expect(asked.mock.calls.length).toBeGreaterThan(calls);
  });

  test("[VG10] where the engine runs in the page, it paces itself", async () => {
    const inline = await openDatabase({ name: "inline", collections: { rows }, worker: false, storage: "memory" });
    const calls = asked.mock.calls.length;
    await inline.collection("rows").put({ id: 1, pad });
    await inline.checkpoint();
    const { slices } = await inline.storage.metrics();
    expect(slices.bySource.headlong).toBeGreaterThan(0);
    expect(slices.bySource.grant).toBe(0);
    expect(asked).toHaveBeenCalledTimes(calls);
    await inline.close();
  });
});
