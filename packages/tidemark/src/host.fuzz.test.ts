import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { errorCodes } from "./base/errors.ts";
import { fuzzRuns } from "./base/mutations.test-support.ts";
import { Connection } from "./client/connection.ts";
import type { HostLink } from "./client/connectors.ts";
import { Database } from "./client/database.ts";
import { browserEnvironment } from "./host/browser.ts";
import { Host } from "./host/host.ts";
import { localLocks } from "./host/web-locks.ts";
import { collection, isTidemarkError } from "./index.ts";
import type { GcHolder } from "./protocol/gc.ts";
import type { HostSurface, Request, Response } from "./protocol/messages.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import { junk, mutated, withinMs } from "./wire.test-support.ts";

vi.setConfig({ testTimeout: 600_000 });

const collections = { rows: collection<{ id: string; n: number }>()({ key: "id", indexes: { n: "n" } }) };

/** A page and its host, whose messages of every kind are at hand. */
async function opened() {
  const medium = createMemoryStorage();
  const real = browserEnvironment("memory");
  const receivers: ((message: unknown) => void)[] = [];
  const host = new Host(() => ({
    ...real,
    locks: localLocks(true),
    channel: (_, receive) => {
      receivers.push(receive);
      return { post: () => undefined, close: () => undefined };
    },
    storage: () => medium,
  }));
  const requests: Request[] = [];
  const surface: HostSurface = {
    hello: () => host.hello(),
    open: (request, events) => host.open(request, events),
    submit: (all) => {
      requests.push(...all);
      return host.submit(all);
    },
    grant: (offer) => host.grant(offer),
    close: () => host.close(),
    deleteDatabase: (name, storage) => host.deleteDatabase(name, storage),
    listDatabases: (storage) => host.listDatabases(storage),
  };
  const link = (): Promise<HostLink> =>
    Promise.resolve({ surface, ended: new Promise(() => undefined), dispose: () => undefined });
  const db = await new Database({ name: "fuzzed", collections }, link).open();
  return { db, host, receivers, requests };
}

/** What waits by its nature: for news, or for what another one does. */
const isWaiting = (request: unknown): boolean => {
  const { op, attempt } = (request ?? {}) as { op?: unknown; attempt?: unknown };
  return op === "ready" || op === "gc-run" || op === "gc-evict" || (attempt !== 0 && attempt !== undefined);
};

async function workload(db: Awaited<ReturnType<typeof opened>>["db"]): Promise<void> {
  const rows = db.collection("rows");
  await rows.putMany(Array.from({ length: 30 }, (_, i) => ({ id: `r${i}`, n: i % 5 })));
  await rows.putMany(Array.from({ length: 2100 }, (_, i) => ({ id: `many${i}`, n: i % 5 })));
  await rows.get("r1");
  await rows.has("r1");
  await rows.where("n").above(2).toArray();
  await rows.where().reverse().limit(3).primaryKeys();
  await rows.count();
  await rows.history("r1");
  await db.transaction(async (tx) => {
    await tx.collection("rows").get("r2");
    await tx.collection("rows").put({ id: "r2", n: 7 });
  });
  await db.snapshots.create("s");
  await db.snapshots.list();
  await db.snapshots.delete("s");
  const feed = db.changes({ consumer: "feed" })[Symbol.asyncIterator]();
  const first = feed.next();
  await rows.put({ id: "r3", n: 9 });
  await (await first).value?.ack();
  await feed.return?.();
  await db.checkpoint();
  await db.verify();
  await db.gc.explain();
  await db.gc.executions();
  await db.storage.metrics();
}

test("whatever a page sends is answered, with a code where it is no request, and nothing stored is hurt", async () => {
  const { db, host, requests } = await opened();
  await workload(db);
  const kindOf = (r: Request): string => ("upload" in r ? `${r.op} that ends an upload` : r.op);
  const kinds = [...new Map(requests.map((r) => [kindOf(r), r])).values()];
  expect(kinds.length).toBeGreaterThan(12);
  const consumers = async (): Promise<readonly GcHolder[]> =>
    (await db.gc.explain()).holders.filter(({ kind }) => kind === "consumer");
  const [before] = await consumers();
  const any = fc.oneof(...kinds.map((r) => mutated(r)), junk).filter((r) => !isWaiting(r));
  await fc.assert(
    fc.asyncProperty(fc.array(any, { minLength: 1, maxLength: 3 }), async (all) => {
      const responses = await withinMs(all, 5000, host.submit(all as Request[]));
      expect(responses).toHaveLength(all.length);
      for (const response of responses) if (!response.ok) expect(response.error.code).toMatch(/^[A-Z_]+$/);
    }),
    { numRuns: fuzzRuns(600), endOnFailure: true },
  );
  expect((await db.verify()).damage).toEqual([]);
  for (const { owner, seq } of await consumers())
    expect(seq).toBeGreaterThanOrEqual(owner === before!.owner ? before!.seq : 0);
  expect((await db.collection("rows").all()).length).toBeGreaterThan(0);
  await db.collection("rows").put({ id: "after", n: 1 });
  expect(await db.collection("rows").get("after")).toEqual({ id: "after", n: 1 });
  await withinMs("close", 5000, db.close());
});

test("[TB3] whatever other tabs say, or something else on their channel, hurts nothing", async () => {
  const { db, receivers } = await opened();
  await workload(db);
  const progress = { cycleId: 1, phase: "sweep", steps: 0, scanned: 1, deleted: 1, bytesReclaimed: 1 };
  const asker = { tab: "tab", job: 1 };
  const messages = [
    { type: "commit", bytes: new Uint8Array(20) },
    ...["checkpoint", "wanted", "raise", "released", "consumed", "courtesy", "joined", "present", "ping", "upkeep"].map(
      (type) => ({ type }),
    ),
    { type: "raised", tab: "tab" },
    { type: "gc", progress },
    {
      type: "job",
      ...asker,
      request: { kind: "run", options: { kind: "FULL_GC" }, isBackground: false },
      what: "pause",
    },
    { type: "job", ...asker, request: { kind: "evict", holder: "pin/tab", since: 1 }, what: undefined },
    { type: "job-steer", ...asker, what: "cancel" },
    { type: "job-alive", ...asker, progress },
    { type: "job-done", ...asker, report: { marked: 1 } },
    { type: "job-failed", ...asker, error: { code: "BUSY", message: "m", details: {} } },
  ];
  const told: unknown[] = [];
  db.gc.subscribe((event) => told.push(event));
  const errors: unknown[] = [];
  db.on("error", (e: unknown) => errors.push(e));
  const endless = { type: "gc", progress: { ...progress, bytesReclaimed: Infinity } };
  for (const receive of receivers) receive(endless);
  await fc.assert(
    fc.asyncProperty(fc.oneof(...messages.map((m) => mutated(m)), junk), async (message) => {
      for (const receive of receivers) receive(message);
      await Promise.resolve();
    }),
    { numRuns: fuzzRuns(1500), endOnFailure: true },
  );
  await db.collection("rows").put({ id: "after", n: 1 });
  expect(await db.collection("rows").get("after")).toEqual({ id: "after", n: 1 });
  expect((await db.verify()).damage).toEqual([]);
  expect(errors).toEqual([]);
  for (const event of told) expect(JSON.stringify(event)).not.toContain("null");
  await withinMs("close", 5000, db.close());
});

test("a page whose worker answers anything else has an answer of its own, at once", async () => {
  const good: readonly unknown[] = [
    { ok: true, value: 5 },
    { ok: false, error: { code: "BUSY", message: "m", details: {} } },
  ];
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated(good), junk, fc.array(junk, { maxLength: 3 })), async (answer) => {
      const connection = new Connection();
      connection.connect({ submit: () => Promise.resolve(answer as readonly Response[]) } as unknown as HostSurface);
      const calls = [0, 1].map(() => connection.call<"snapshot-list">({ op: "snapshot-list" }));
      for (const call of await withinMs(answer, 2000, Promise.allSettled(calls))) {
        if (call.status === "rejected") {
          if (!isTidemarkError(call.reason)) throw call.reason;
          expect(errorCodes).toContain(call.reason.code);
        }
      }
      await withinMs(answer, 2000, connection.idle());
    }),
    { numRuns: fuzzRuns(600), endOnFailure: true },
  );
});
