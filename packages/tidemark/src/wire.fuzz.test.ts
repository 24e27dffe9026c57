import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { errorCodes } from "./base/errors.ts";
import { fuzzRuns } from "./base/mutations.test-support.ts";
import { catalogOf, FakeHost, never, packed, rows } from "./client/fake-host.test-support.ts";
import { Connection } from "./client/connection.ts";
import { type HostLink, linkToWorker } from "./client/connectors.ts";
import { Database } from "./client/database.ts";
import { browserEnvironment } from "./host/browser.ts";
import { Host } from "./host/host.ts";
import { hostCalls } from "./host/serving.ts";
import { localLocks } from "./host/web-locks.ts";
import { isTidemarkError, openDatabase } from "./index.ts";
import { answerCalls, type Port } from "./protocol/calls.ts";
import { type HostEvent, type OpenRequest, protocolVersion } from "./protocol/messages.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import { junk, mutated, withinMs } from "./wire.test-support.ts";

vi.setConfig({ testTimeout: 600_000 });

const collections = { rows };
const url = (): string => "worker.js";

/** The two ends of a line, and what listeners of the worker's threw: then its page takes it for crashed. */
function line() {
  const { port1: page, port2: worker } = new MessageChannel();
  const thrown: unknown[] = [];
  const watched: Port = {
    postMessage: (message, moved) => worker.postMessage(message, moved),
    addEventListener: (type, listener) => {
      worker.addEventListener(type, (event: MessageEvent<unknown>) => {
        try {
          listener(event);
        } catch (e) {
          thrown.push(e);
        }
      });
      worker.start();
    },
  };
  page.start();
  const terminate = (): void => [page, worker].forEach((p) => p.close());
  return { page, worker, watched, thrown, made: Object.assign(page, { terminate }) as unknown as Worker };
}

/** A host, in a realm of its own as far as it knows. */
function hostOf(medium = createMemoryStorage()): Host {
  const real = browserEnvironment("memory");
  return new Host(() => ({ ...real, locks: localLocks(true), storage: () => medium }));
}
const surfaceOf = (host: Host, page: Port) => ({
  ...hostCalls(host, page),
  holdForLife: () => Promise.resolve(false),
});
/** In a message everything is a copy, and what cannot be copied cannot be sent. */
const posted = (port: MessagePort, message: unknown): void => {
  try {
    port.postMessage(message);
  } catch {
    // never arrives
  }
};

/** None of a call that is under way. */
const numbers = fc.constantFrom<unknown>(1e9, -1, 0.5, "1", null, undefined);
const methods = fc.constantFrom<unknown>(
  "submit",
  "open",
  "hello",
  "bind",
  "constructor",
  "__proto__",
  "toString",
  "nowhere",
  0,
  null,
);
const envelope = fc.record(
  {
    tidemarkCall: numbers,
    call: fc.constantFrom(1, 2, 3),
    method: fc.oneof(methods, junk),
    args: fc.oneof(fc.array(junk, { maxLength: 2 }), junk),
    tidemarkAnswer: numbers,
    answer: fc.constantFrom(1, 2, 3),
    value: junk,
    failure: junk,
  },
  { requiredKeys: [] },
);

test("whatever else arrives at a worker harms no call of its page, and is no crash", async () => {
  const { worker, watched, page, thrown, made } = line();
  const surface = surfaceOf(hostOf(), watched);
  answerCalls(watched, surface);
  const db = await new Database({ name: "line", collections }, async () => linkToWorker(made, url)).open();
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 4, arbitrary: envelope }, junk), { maxLength: 4 }), async (all) => {
      for (const message of all) posted(page, message);
      const put = db.collection("rows").put({ id: "a", v: ++n });
      for (const message of all) posted(page, message);
      await withinMs(all, 3000, put);
      expect(await withinMs(all, 3000, db.collection("rows").get("a"))).toEqual({ id: "a", v: n });
      expect(thrown).toEqual([]);
    }),
    { numRuns: fuzzRuns(300), endOnFailure: true },
  );
  expect(Object.keys(surface)).toHaveLength(8);
  await withinMs("close", 3000, db.close());
  worker.close();
});

/** An answer to a call, but for its number. */
const responded = (right: unknown): fc.Arbitrary<object> =>
  fc.oneof(
    fc.oneof(mutated(right), junk).map((value) => ({ value })),
    junk.map((failure) => ({ failure })),
    fc.constant({}),
  );
const right: Readonly<Record<string, unknown>> = {
  open: { ok: true, catalog: catalogOf(1), database: 5, pending: { kind: "seed", from: 0 } },
  submit: [{ ok: true, value: [{ name: "s", seq: 5 }] }],
  grant: { usedMs: 1 },
  close: { ok: false, error: { code: "BUSY", message: "m", details: {} } },
  deleteDatabase: { ok: true, catalog: undefined },
  listDatabases: { ok: true, databases: [{ name: "n", version: 1 }] },
};

test("[MV12] whatever a worker says in place of an answer, each call ends, with what was to be answered or a code", async () => {
  const answers = fc.record(
    Object.fromEntries(Object.entries(right).map(([call, answer]) => [call, responded(answer)])),
  ) as fc.Arbitrary<Record<string, object>>;
  const noise = fc.array(fc.oneof(envelope, junk), { maxLength: 2 });
  let [ended, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(answers, noise, async (of, others) => {
      const { worker, made } = line();
      worker.addEventListener("message", ({ data }: MessageEvent<{ tidemarkCall: number; method: string }>) => {
        const { tidemarkCall, method } = data;
        for (const other of others) posted(worker, other);
        const answer = method === "hello" ? { value: protocolVersion } : of[method];
        posted(worker, { ...(method === "holdForLife" ? { value: false } : answer), tidemarkAnswer: tidemarkCall });
      });
      worker.start();
      const toWorker = linkToWorker(made, url);
      const { surface } = toWorker;
      const link = (): Promise<HostLink> => Promise.resolve({ surface, ended: never, dispose: () => undefined });
      const db = new Database({ name: "line", collections }, link);
      const connection = new Connection();
      connection.connect(surface);
      const calls = {
        grant: surface.grant({ type: "page", state: "visible" }),
        close: surface.close(),
        deleteDatabase: surface.deleteDatabase("n", "memory"),
        listDatabases: surface.listDatabases("memory"),
        submit: connection.call<"snapshot-list">({ op: "snapshot-list" }),
        database: db.snapshots.list(),
      };
      for (const [call, work] of Object.entries(calls)) {
        const [outcome] = await withinMs([call, of], 3000, Promise.allSettled([work]));
        if (outcome?.status === "rejected") {
          if (!isTidemarkError(outcome.reason)) throw outcome.reason;
          expect(errorCodes).toContain(outcome.reason.code);
          refused++;
        } else ended++;
      }
      toWorker.dispose();
      worker.close();
    }),
    { numRuns: fuzzRuns(150), endOnFailure: true },
  );
  expect(Math.min(ended, refused)).toBeGreaterThan(0);
});
test("[MV8] whatever a page asks a worker to open is opened, or refused with a code, and can be opened as it is to be", async () => {
  const medium = createMemoryStorage();
  const index = { path: "v", unique: false, multi: false };
  const valid: OpenRequest = {
    protocol: protocolVersion,
    name: "opened",
    storage: "memory",
    definition: {
      version: 1,
      collections: { rows: { key: "id", indexes: { v: index }, retention: { latest: 2 } } },
      dropCollections: ["gone"],
      keepForMs: 5,
    },
    cacheMaxBytes: 2 ** 20,
    memtableMaxBytes: 2 ** 20,
    page: "visible",
    gc: { mode: "manual" },
  };
  const declared = { rows, other: rows };
  const whole = await openDatabase({ name: "opened", storage: medium, worker: false, collections: { rows } });
  await whole.collection("rows").put({ id: "a", v: 1 });
  await whole.close();
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: mutated(valid) }, junk), async (request) => {
      const host = hostOf(medium);
      const answer = await withinMs(
        request,
        5000,
        host.open(request as OpenRequest, () => undefined),
      );
      if (answer.ok) {
        opened++;
        const again = await host.open(valid, () => undefined);
        expect(again).toMatchObject({ ok: false, error: { code: "BUSY" } });
      } else expect(errorCodes).toContain(answer.error.code);
      await withinMs(request, 5000, host.close());
    }),
    { numRuns: fuzzRuns(150), endOnFailure: true },
  );
  expect(opened).toBeGreaterThan(0);
  const db = await openDatabase({
    name: "opened",
    storage: medium,
    worker: false,
    collections: declared,
    version: 2 ** 50,
  });
  expect(await db.collection("rows").all()).toEqual([{ id: "a", v: 1 }]);
  await db.close();
});

test("whatever a worker tells its page unasked is believed, or passed over", async () => {
  const events: HostEvent[] = [
    { type: "touched", handles: [1, 2] },
    {
      type: "catalog",
      catalog: { ...catalogOf(2), moving: { version: 3, collection: "rows", into: catalogOf(2).collections["rows"]! } },
    },
    { type: "outdated", reason: "schema", version: 5 },
    { type: "upgrade", collection: "rows", index: "v", done: 1, total: 2 },
    {
      type: "gc",
      job: 1,
      event: { type: "progress", cycleId: 1, phase: "sweep", steps: 0, scanned: 1, deleted: 1, bytesReclaimed: 1 },
    },
    { type: "work", waits: true },
    { type: "error", error: { code: "BUSY", message: "m", details: {} } },
  ];
  const host = new FakeHost();
  const db = await new Database({ name: "told", collections }, async () => host.link).open();
  host.answer = (r) => (r.op === "get" ? packed({ id: "a" }) : undefined);
  for (const event of ["outdated", "upgrade", "error"] as const) db.on(event, () => undefined);
  db.gc.subscribe(() => undefined);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 9, arbitrary: fc.oneof(...events.map((e) => mutated(e))) }, junk),
      async (event) => {
        host.tell(event as HostEvent);
        expect(await withinMs(event, 3000, db.collection("rows").get("a"))).toEqual({ id: "a" });
      },
    ),
    { numRuns: fuzzRuns(400), endOnFailure: true },
  );
  await withinMs("close", 3000, db.close());
});

test("a message that cannot be read ends, on either side, what nobody would answer any more", async () => {
  const { made } = line();
  const link = linkToWorker(made, url);
  made.dispatchEvent(new Event("messageerror"));
  expect(await link.ended).toMatchObject({ code: "ENVIRONMENT" });
  link.dispose();
  await expect(hostOf().submit(5 as never)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
});
