/**
 * The worker's composition root: opens storage, joins the other tabs, wires the engine to the page. It holds no rule of
 * its own; every request goes to the room that knows.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { Database } from "../collections/database.ts";
import { define } from "../collections/define.ts";
import { deletePin, raisePin } from "../mvcc/pins.ts";
import { create, drop, isDropped } from "../mvcc/recovery.ts";
import {
  type Failure,
  type HostEvent,
  type HostSurface,
  type Opened,
  type OpenRequest,
  protocolVersion,
  type Request,
  type Response,
} from "../protocol/messages.ts";
import { get, type Storage, valueOf } from "../storage/contract.ts";
import { decodeEntry } from "../wal/entry.ts";
import type { Environment } from "./environment.ts";
import { answer, explained } from "./requests.ts";
import { lockNames, type TabMessage, Tabs } from "./tabs.ts";
import { Upkeep } from "./upkeep.ts";

/** Messages between tabs can be lost: whoever watches something looks at the log itself this often. */
const lookMs = 2000;
/** How long a deletion waits for other tabs to let go before it leaves the empty shell behind. */
const letGoMs = 1000;
/** How long the only tab allowed without shared locks waits for another to speak up. */
const pingMs = 150;

interface Running {
  readonly database: Database;
  readonly tabs: Tabs;
  readonly upkeep: Upkeep;
  readonly storage: Storage;
}

export class Host implements HostSurface {
  readonly #environmentFor: (storage: OpenRequest["storage"]) => Environment;
  #running: Running | undefined;
  #events: ((event: HostEvent) => void) | undefined;
  #closed: string | undefined;
  #isFollowing = false;

  constructor(environmentFor: (storage: OpenRequest["storage"]) => Environment) {
    this.#environmentFor = environmentFor;
  }

  async open(request: OpenRequest, events: (event: HostEvent) => void): Promise<Opened> {
    try {
      if (request.protocol !== protocolVersion) throw otherBuild(request.protocol);
      this.#events = events;
      return { ok: true, catalog: await this.#open(request) };
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  async #open(request: OpenRequest): Promise<Catalog> {
    const environment = this.#environmentFor(request.storage);
    const factory = environment.storage(request.storage);
    const isLone = !environment.locks.areShared;
    if (isLone) await refuseSecondTab(request.name, environment);
    const early: TabMessage[] = [];
    let receive = (message: TabMessage): void => void early.push(message);
    const tabs = await Tabs.join(request.name, environment, (message) => receive(message));
    let storage: Storage | undefined;
    try {
      storage = await factory.open(request.name);
      await create(storage, environment.random);
      const { locks, clock } = environment;
      const retry = lockNames(request.name).retry;
      const takeRetryToken = async (): Promise<() => void> => {
        const held = await locks.request(retry, { timeoutMs: 250 });
        return () => held?.release();
      };
      const database = await Database.open(
        { storage, tab: tabs.self, clock, takeRetryToken, isLone },
        request.cacheMaxBytes,
        {
          committed: (_, bytes) => tabs.postCommit(bytes),
          advanced: () => this.#running?.upkeep.advanced(),
          touched: (handles) => this.#tell({ type: "touched", handles }),
          catalogChanged: (catalog) => this.#tell({ type: "catalog", catalog }),
          damaged: (error) => this.#tell({ type: "error", error: failureOf(error) }),
        },
      );
      await define(database, request.definition);
      await noteVersion(storage, database.catalog.version);
      const upkeep = new Upkeep(database, tabs, environment, request.name, {
        memtableMaxBytes: request.memtableMaxBytes,
        onError: (e) => this.#failed(e),
      });
      this.#running = { database, tabs, upkeep, storage };
      receive = (message) => this.#receive(message);
      for (const message of early) this.#receive(message);
      upkeep.start();
      void this.#look(environment);
      return database.catalog;
    } catch (e) {
      storage?.close();
      tabs.leave();
      throw e;
    }
  }

  async submit(requests: readonly Request[]): Promise<readonly Response[]> {
    return Promise.all(requests.map((request) => this.#respond(request)));
  }

  async #respond(request: Request): Promise<Response> {
    const running = this.#running;
    if (!running || this.#closed !== undefined) {
      return { ok: false, error: failureOf(closed(this.#closed ?? "not opened")) };
    }
    try {
      return { ok: true, value: await answer(running.database, running.upkeep, request) };
    } catch (e) {
      return { ok: false, error: failureOf(explained(running.database, e)) };
    }
  }

  async close(): Promise<void> {
    const running = this.#running;
    if (!running || this.#closed !== undefined) return;
    await running.database.idle();
    this.#closed = "closed";
    await running.upkeep.stop();
    await running.storage
      .commit({ durability: "relaxed", writes: [deletePin(running.tabs.self)] })
      .catch(() => undefined); // the next upkeep removes it: our lock is about to be free
    this.#letGo(running);
  }

  async deleteDatabase(name: string, kind: OpenRequest["storage"]): Promise<Opened> {
    try {
      const environment = this.#environmentFor(kind);
      const factory = environment.storage(kind);
      if (!(await factory.list()).includes(name)) return { ok: true, catalog: undefined };
      const storage = await factory.open(name);
      await drop(storage, environment.random);
      storage.close();
      const channel = environment.channel(`tidemark/${name}`, () => undefined);
      channel.post({ type: "deleted" } satisfies TabMessage);
      const alone = await environment.locks.request(lockNames(name).open, { timeoutMs: letGoMs });
      if (alone) await removeIfStillDropped();
      alone?.release();
      channel.close();
      return { ok: true, catalog: undefined };

      async function removeIfStillDropped(): Promise<void> {
        const again = await factory.open(name);
        const dropped = await isDropped(again);
        again.close();
        if (dropped) await factory.remove(name);
      }
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  async listDatabases(kind: OpenRequest["storage"]): Promise<readonly { name: string; version: number }[]> {
    const factory = this.#environmentFor(kind).storage(kind);
    const listed: { name: string; version: number }[] = [];
    for (const name of await factory.list()) {
      const storage = await factory.open(name);
      const [about] = await storage.read([readVersion]);
      const bytes = valueOf(about);
      if (bytes && !(await isDropped(storage)))
        listed.push({ name, version: new ByteReader(bytes, "version").varint() });
      storage.close();
    }
    return listed;
  }

  #receive(message: TabMessage): void {
    const running = this.#running;
    if (!running || this.#closed !== undefined) return;
    const { database, tabs, upkeep } = running;
    switch (message.type) {
      case "commit":
        if (!this.#appliedDirectly(database, message.bytes)) void this.#follow();
        return;
      case "checkpoint":
        void this.#guard(database.store.reload());
        return;
      case "wanted":
        upkeep.wanted();
        return;
      case "raise":
        void this.#guard(
          raisePin(running.storage, tabs.self, database.handles.oldest()).then(() =>
            tabs.post({ type: "raised", tab: tabs.self }),
          ),
        );
        return;
      case "deleted":
        this.#end("deleted");
        return;
      case "ping":
        tabs.post({ type: "pong" });
        return;
      default:
    }
  }

  #appliedDirectly({ store }: Database, bytes: Uint8Array | undefined): boolean {
    if (!bytes) return false;
    try {
      return store.apply(decodeEntry(bytes));
    } catch {
      return false; // not to be trusted: the log itself will tell
    }
  }

  /** Follows the log; calls made while one is waiting share it. */
  async #follow(): Promise<void> {
    if (this.#isFollowing || !this.#running) return;
    this.#isFollowing = true;
    await Promise.resolve();
    const { store } = this.#running.database;
    this.#isFollowing = false;
    await this.#guard(store.follow());
  }

  async #look({ clock }: Environment): Promise<void> {
    while (this.#running && this.#closed === undefined) {
      await clock.sleep(lookMs);
      if (this.#closed === undefined && this.#running && this.#running.database.handles.size > 0) await this.#follow();
    }
  }

  async #guard(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (e) {
      this.#failed(e);
    }
  }

  #failed(e: unknown): void {
    if (this.#closed !== undefined) return;
    if (isTidemarkError(e, "CLOSED")) this.#end(reasonOf(e));
    else this.#tell({ type: "error", error: failureOf(e) });
  }

  /** The database ends under us: every call from now on fails with CLOSED. */
  #end(reason: string): void {
    const running = this.#running;
    if (!running || this.#closed !== undefined) return;
    this.#closed = reason;
    void running.upkeep.stop();
    this.#letGo(running);
    this.#tell({ type: "closed", reason });
  }

  #letGo({ database, storage, tabs }: Running): void {
    database.handles.closeAll();
    storage.close();
    tabs.leave();
  }

  #tell(event: HostEvent): void {
    this.#events?.(event);
  }
}

const readVersion = get("meta", "version");

/** Notes the data version where `listDatabases` finds it without opening the database. */
async function noteVersion(storage: Storage, version: number): Promise<void> {
  const [row] = await storage.read([readVersion]);
  const bytes = valueOf(row);
  if (bytes && new ByteReader(bytes, "version").varint() === version) return;
  const out = new ByteWriter(8);
  out.varint(version);
  await storage.commit({
    durability: "relaxed",
    writes: [{ kind: "put", store: "meta", key: "version", value: out.finish() }],
  });
}

/** Without Web Locks tabs cannot tell a dead tab from a frozen one: one tab works, a second is refused (TB6). */
async function refuseSecondTab(name: string, environment: Environment): Promise<void> {
  let answered = false;
  const channel = environment.channel(`tidemark/${name}`, (raw) => {
    if ((raw as { type?: unknown } | null)?.type === "pong") answered = true;
  });
  channel.post({ type: "ping" } satisfies TabMessage);
  await environment.clock.sleep(pingMs);
  channel.close();
  if (!answered) return;
  throw new TidemarkError(
    "ENVIRONMENT",
    "This browser has no Web Locks here (they need HTTPS or localhost), so only one tab can have the database open, and another has",
    { missing: "navigator.locks" },
  );
}

function otherBuild(found: number): TidemarkError {
  return new TidemarkError("ENVIRONMENT", "Page and worker come from different builds of Tidemark; reload the page", {
    page: found,
    worker: protocolVersion,
  });
}

const closed = (reason: string): TidemarkError =>
  new TidemarkError("CLOSED", `This database handle is closed (${reason})`, { reason });

const reasonOf = ({ details }: TidemarkError): string =>
  typeof details["reason"] === "string" ? details["reason"] : "closed";

export function failureOf(e: unknown): Failure {
  if (e instanceof TidemarkError) return { code: e.code, message: e.message, details: e.details };
  return { code: "INTERNAL", message: e instanceof Error ? e.message : String(e), details: {} };
}
