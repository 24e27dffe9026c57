/**
 * The worker's composition root: opens storage, joins the other tabs, wires the engine to the page. It holds no rule of
 * its own; every request goes to the room that knows.
 */
import type { TabId } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import { Database } from "../collections/database.ts";
import { define } from "../collections/define.ts";
import { unpin } from "../mvcc/holders.ts";
import { create } from "../mvcc/recovery.ts";
import type { GcProgress } from "../protocol/gc.ts";
import { checkedGcSettings } from "../protocol/gc-settings.ts";
import {
  type HostEvent,
  type HostSurface,
  type Listed,
  type OfferAnswer,
  type Opened,
  type OpenRequest,
  type PageOffer,
  protocolVersion,
  type Request,
  type Response,
} from "../protocol/messages.ts";
import { type Storage, valueOf } from "../storage/contract.ts";
import { ReopeningStorage } from "../storage/reopening.ts";
import { ReservingStorage } from "../storage/reserve.ts";
import { decodeEntry } from "../wal/entry.ts";
import { decodeFence, readFence } from "../wal/log.ts";
import type { Environment } from "./environment.ts";
import { failureOf } from "./failure.ts";
import { deleteDatabase, listDatabases, notedVersion, noteVersion } from "./databases.ts";
import { Feeds } from "./feeds.ts";
import { Foreground } from "./foreground.ts";
import { collectionOf } from "./gc-options.ts";
import { jobsOf } from "./gc-jobs.ts";
import type { GcJobs } from "./gc-jobs.ts";
import { GcDesk } from "./gc-requests.ts";
import { checkPage, Grants } from "./grants.ts";
import { Slices } from "./pace.ts";
import { answer, explained } from "./requests.ts";
import { lockNames, type TabMessage, Tabs } from "./tabs.ts";
import { Upkeep } from "./upkeep.ts";

/** Messages between tabs can be lost: whoever watches something looks at the log itself this often. */
const lookMs = 2000;
/** How long the only tab allowed without shared locks waits for another to speak up. */
const pingMs = 150;

interface Running {
  readonly database: Database;
  readonly tabs: Tabs;
  readonly upkeep: Upkeep;
  readonly storage: Storage;
  readonly foreground: Foreground;
  readonly grants: Grants;
  readonly jobs: GcJobs;
  readonly gc: GcDesk;
  readonly feeds: Feeds;
  readonly consumed: () => void;
}

export class Host implements HostSurface {
  readonly #environmentFor: (storage: OpenRequest["storage"]) => Environment;
  #running: Running | undefined;
  #opening: Promise<unknown> | undefined;
  #events: ((event: HostEvent) => void) | undefined;
  #closed: string | undefined;
  #isFollowing = false;
  /** Resolves when all calls so far are let in; absent where they are. */
  #admitting: Promise<void> | undefined;

  constructor(environmentFor: (storage: OpenRequest["storage"]) => Environment) {
    this.#environmentFor = environmentFor;
  }

  hello(): Promise<number> {
    return Promise.resolve(protocolVersion);
  }

  async open(request: OpenRequest, events: (event: HostEvent) => void): Promise<Opened> {
    try {
      if (request.protocol !== protocolVersion) throw otherBuild(request.protocol);
      checkPage(request);
      checkedGcSettings(request.gc);
      this.#events = events;
      const opening = this.#open(request);
      this.#opening = opening.catch(() => undefined);
      const { catalog, store } = await opening;
      return { ok: true, catalog, database: store.fence.database };
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  async #open(request: OpenRequest): Promise<Database> {
    const environment = this.#environmentFor(request.storage);
    const factory = environment.storage(request.storage);
    const isLone = !environment.locks.areShared;
    if (isLone) await refuseSecondTab(request.name, environment);
    const early: TabMessage[] = [];
    let receive = (message: TabMessage): void => void early.push(message);
    const tabs = await Tabs.join(request.name, environment, (message) => receive(message));
    let opened: Storage | undefined;
    try {
      const { locks, clock } = environment;
      const lasting = new ReopeningStorage(await factory.open(request.name), {
        reopen: () => factory.reopen(request.name),
        sleep: (ms) => clock.sleep(ms),
      });
      const makeRoom = (): Promise<void> => this.#running?.upkeep.makeRoom() ?? Promise.resolve();
      const storage = new ReservingStorage(lasting, makeRoom);
      opened = storage;
      if (request.database !== undefined) await refuseAnother(storage, request.database);
      const retry = lockNames(request.name).retry;
      const retryPeers = {
        takeToken: async (): Promise<() => void> => {
          const held = await locks.request(retry, { timeoutMs: 250 });
          return () => held?.release();
        },
        askForCourtesy: () => tabs.post({ type: "courtesy" }),
      };
      const opening = Database.open(
        { storage, tab: tabs.self, clock, retryPeers, isLone, create: () => create(storage, environment.random) },
        request.cacheMaxBytes,
        {
          committed: (_, bytes) => tabs.postCommit(bytes),
          advanced: () => {
            this.#running?.upkeep.advanced();
            this.#running?.feeds.advanced();
          },
          touched: (handles) => this.#tell({ type: "touched", handles }),
          released: () => {
            tabs.post({ type: "released" });
            this.#running?.upkeep.released();
          },
          catalogChanged: (catalog) => {
            this.#running?.upkeep.released(); // it may retain less
            this.#tell({ type: "catalog", catalog });
          },
          damaged: (error) => this.#tell({ type: "error", error: failureOf(error) }),
        },
      );
      // Asked for behind the joining, and answered while that completes.
      const [database, noted] = await Promise.all([opening, notedVersion(storage)]);
      lasting.admit = (fresh) => database.store.admit(new ReservingStorage(fresh, makeRoom));
      await define(database, request.definition);
      if (database.catalog.version !== noted) await noteVersion(storage, database.catalog.version);
      const collection = collectionOf(request.gc ?? {});
      const foreground = new Foreground(() => environment.ticks());
      const grants = new Grants({
        page: request.page,
        tell: (waits) => this.#tell({ type: "work", waits }),
        ticks: () => environment.ticks(),
        sleep: (ms) => clock.sleep(ms),
      });
      const upkeep = new Upkeep(database, tabs, environment, request.name, {
        memtableMaxBytes: request.memtableMaxBytes,
        slices: new Slices({
          ticks: () => environment.ticks(),
          giveWay: () => environment.giveWay(),
          foreground,
          debt: () => this.#running?.upkeep.debt ?? 0,
          grants,
          budgetMs: request.gc?.budgetMs,
        }),
        collection,
        onProgress: (progress) => {
          tabs.post({ type: "gc", progress });
          this.#tellProgress(progress);
        },
        onError: (e) => this.#failed(e),
      });
      const jobs = jobsOf(upkeep, tabs, environment, (event) => this.#tell(event));
      const liveTabs = (): Promise<ReadonlySet<TabId>> => tabs.live();
      const [now, ticks] = [(): number => clock.now(), (): number => environment.ticks()];
      const gc = new GcDesk({ database, proof: collection.proof, now, ticks, liveTabs }, jobs);
      const feeds = new Feeds(database.store, (handles) => this.#tell({ type: "touched", handles }));
      const consumed = (): void => {
        tabs.post({ type: "consumed" });
        upkeep.consumed();
      };
      this.#running = { database, tabs, upkeep, storage, foreground, grants, jobs, gc, feeds, consumed };
      receive = (message) => this.#receive(message);
      for (const message of early) this.#receive(message);
      upkeep.start();
      void this.#look(environment);
      return database;
    } catch (e) {
      opened?.close();
      tabs.leave();
      throw e;
    }
  }

  async submit(requests: readonly Request[]): Promise<readonly Response[]> {
    const foreground = requests.every(isUpkeep) ? undefined : this.#running?.foreground;
    foreground?.begin();
    const admitted = this.#admission(requests);
    if (admitted) await admitted;
    try {
      return await Promise.all(requests.map((request) => this.#respond(request)));
    } finally {
      foreground?.end();
    }
  }

  async grant(offer: PageOffer): Promise<OfferAnswer> {
    return this.#running?.grants.offer(offer) ?? {};
  }

  /** Lets calls in as they came. Where there is no room for more writes they wait, and what comes after them too. */
  #admission(requests: readonly Request[]): Promise<void> | undefined {
    const upkeep = requests.some(isWrite) ? this.#running?.upkeep : undefined;
    if (this.#admitting === undefined && !upkeep?.isFull) return undefined;
    const admitting = Promise.resolve(this.#admitting).then(() => upkeep?.room());
    this.#admitting = admitting;
    return admitting.then(() => {
      if (this.#admitting === admitting) this.#admitting = undefined;
    });
  }

  async #respond(request: Request): Promise<Response> {
    const running = this.#running;
    if (!running || this.#closed !== undefined) {
      return { ok: false, error: failureOf(closed(this.#closed ?? "not opened")) };
    }
    try {
      return { ok: true, value: await answer(running, request) };
    } catch (e) {
      // What ended the database says more than how this call met its end.
      const why = this.#closed === undefined ? explained(running.database, e) : closed(this.#closed);
      if (isTidemarkError(e, "CLOSED")) this.#failed(e);
      return { ok: false, error: failureOf(why) };
    }
  }

  async close(): Promise<Opened> {
    await this.#opening;
    const running = this.#running;
    if (!running || this.#closed !== undefined) return { ok: true, catalog: undefined };
    const { database, upkeep, storage, tabs } = running;
    await database.idle();
    this.#closed = "closed";
    await upkeep.stop();
    // Where this fails the next upkeep removes it: our lock is about to be free.
    const leaving = { durability: "relaxed", isRepeatable: true, writes: unpin(tabs.self) } as const;
    await storage.commit(leaving).catch(() => undefined);
    await this.#letGo(running);
    return { ok: true, catalog: undefined };
  }

  async deleteDatabase(name: string, kind: OpenRequest["storage"]): Promise<Opened> {
    try {
      await deleteDatabase(name, this.#environmentFor(kind), kind);
      return { ok: true, catalog: undefined };
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  async listDatabases(kind: OpenRequest["storage"]): Promise<Listed> {
    try {
      return { ok: true, databases: await listDatabases(this.#environmentFor(kind).storage(kind)) };
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  #receive(message: TabMessage): void {
    const running = this.#running;
    if (!running || this.#closed !== undefined) return;
    const { database, tabs, upkeep, foreground, jobs } = running;
    switch (message.type) {
      case "commit":
        foreground.heard();
        if (!this.#appliedDirectly(database, message.bytes)) void this.#follow();
        return;
      case "present":
        // What it committed before it heard of us, it told nobody.
        void this.#follow();
        return;
      case "checkpoint":
        void this.#guard(database.store.reload());
        return;
      case "wanted":
        upkeep.wanted();
        return;
      case "raise":
        void this.#guard(database.raisePin().then(() => tabs.post({ type: "raised", tab: tabs.self })));
        return;
      case "released":
        upkeep.released();
        return;
      case "consumed":
        upkeep.consumed();
        return;
      case "courtesy":
        database.giveWay();
        return;
      case "deleted":
        // Late word of an earlier database of this name is not about ours: what is stored tells.
        void this.#guard(database.store.reload());
        return;
      case "ping":
        tabs.post({ type: "pong" });
        return;
      case "gc":
        this.#tellProgress(message.progress);
        return;
      case "job":
      case "job-steer":
      case "job-alive":
      case "job-done":
      case "job-failed":
        jobs.receive(message);
        return;
      default:
    }
  }

  #tellProgress(progress: GcProgress): void {
    this.#tell({ type: "gc", job: undefined, event: { type: "progress", ...progress } });
    const type = progress.phase === "done" ? "ended" : progress.steps === 0 ? "started" : undefined;
    if (type) void this.#tellExecution(type, progress.cycleId).catch(() => undefined); // news only
  }

  async #tellExecution(type: "started" | "ended", id: number): Promise<void> {
    const execution = await this.#running?.gc.execution(id);
    if (execution) this.#tell({ type: "gc", job: undefined, event: { type, execution } });
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
      const { database, feeds } = this.#running;
      if (this.#closed === undefined && (database.isWatched || feeds.size > 0)) await this.#follow();
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
    this.#tell({ type: "closed", reason });
    void running.upkeep.stop().then(() => this.#letGo(running));
  }

  async #letGo({ database, storage, tabs }: Running): Promise<void> {
    await database.idle(); // an append under way may have to be withdrawn
    database.handles.closeAll();
    storage.close();
    tabs.leave();
  }

  #tell(event: HostEvent): void {
    this.#events?.(event);
  }
}

const isWrite = ({ op }: Request): boolean => op === "write" || op === "commit";

/** Whoever waits for upkeep wants it to go on. */
const isUpkeep = ({ op }: Request): boolean => op === "checkpoint" || op === "gc-run" || op === "verify";

/** What was deleted while its page was without a worker is not made anew for it. @throws CLOSED */
async function refuseAnother(storage: Storage, database: number): Promise<void> {
  const [row] = await storage.read([readFence]);
  const bytes = valueOf(row);
  if (!bytes || decodeFence(bytes).database !== database) throw closed("deleted");
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
