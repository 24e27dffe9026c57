/**
 * The worker's composition root: opens storage, joins the other tabs, wires the engine to the page. It holds no rule of
 * its own; every request goes to the room that knows.
 */
import type { Clock } from "../base/clock.ts";
import { isTidemarkError, type TidemarkError } from "../base/errors.ts";
import { type Catalog, type Definition, writableFrom } from "../codec/schema.ts";
import { Database } from "../collections/database.ts";
import type { Pending } from "../collections/define.ts";
import { unpin } from "../mvcc/holders.ts";
import { create } from "../mvcc/recovery.ts";
import type { GcProgress } from "../protocol/gc.ts";
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
import type { Storage } from "../storage/contract.ts";
import { ReopeningStorage } from "../storage/reopening.ts";
import { ReservingStorage } from "../storage/reserve.ts";
import { decodeEntry } from "../wal/entry.ts";
import { backgroundOf } from "./background.ts";
import { Building } from "./building.ts";
import type { Environment, HeldLock } from "./environment.ts";
import { failureOf, invalidOption } from "./failure.ts";
import { deleteDatabase, listDatabases, notedVersion, noteVersion } from "./databases.ts";
import { Feeds } from "./feeds.ts";
import type { Foreground } from "./foreground.ts";
import { collectionOf, keepForMsOf } from "./gc-options.ts";
import { type GcJobs, jobsOf } from "./gc-jobs.ts";
import { GcDesk } from "./gc-requests.ts";
import type { Grants } from "./grants.ts";
import {
  alreadyOpen,
  checkOpening,
  closed,
  maxEndingMs,
  reasonOf,
  refuseAnother,
  refuseSecondTab,
} from "./admission.ts";
import { answer, explained, isChange, isUpkeep, isWrite } from "./requests.ts";
import type { TabMessage } from "./tab-messages.ts";
import { lockNames, retryPeersOf, Tabs } from "./tabs.ts";
import { upgrade } from "./upgrading.ts";
import { Upkeep } from "./upkeep.ts";

/** Messages between tabs can be lost: whoever watches something looks at the log itself this often. */
const lookMs = 2000;

interface Running {
  readonly clock: Clock;
  readonly database: Database;
  readonly tabs: Tabs;
  readonly upkeep: Upkeep;
  readonly storage: Storage;
  readonly foreground: Foreground;
  readonly grants: Grants;
  readonly jobs: GcJobs;
  readonly gc: GcDesk;
  readonly building: Building;
  readonly definition: Definition;
  readonly feeds: Feeds;
  readonly consumed: () => void;
}

export class Host implements HostSurface {
  readonly #environmentFor: (storage: OpenRequest["storage"]) => Environment;
  #running: Running | undefined;
  #opening: Promise<unknown> | undefined;
  #events: ((event: HostEvent) => void) | undefined;
  #closed: string | undefined;
  /** A newer build has upgraded what is stored: since then nothing is written here, and upkeep is not ours. */
  #outdated: TidemarkError | undefined;
  #isFollowing = false;
  /** The highest data version heard of since it was opened. */
  #newest = 0;
  /** Held while the page migrates. */
  #migrating: HeldLock | undefined;
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
      checkOpening(request);
      if (this.#opening) throw alreadyOpen();
      this.#events = events;
      const opening = this.#open(request);
      this.#opening = opening.then(
        () => undefined,
        () => (this.#opening = undefined),
      ); // what it opened is not kept here
      const { database, pending } = await opening;
      return { ok: true, catalog: database.catalog, database: database.store.fence.database, pending };
    } catch (e) {
      return { ok: false, error: failureOf(e) };
    }
  }

  async #open(request: OpenRequest): Promise<{ readonly database: Database; readonly pending: Pending | undefined }> {
    const environment = this.#environmentFor(request.storage);
    const factory = environment.storage(request.storage);
    const isLone = !environment.locks.areShared;
    if (isLone) await refuseSecondTab(request.name, environment);
    const early: TabMessage[] = [];
    let receive = (message: TabMessage): void => void early.push(message);
    const keepForMs = keepForMsOf(request.gc ?? {});
    const tabs = await Tabs.join(request.name, environment, (message) => receive(message), keepForMs);
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
      const retryPeers = retryPeersOf(request.name, locks, tabs);
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
            this.#catalogChanged(catalog);
          },
          built: (commit) => this.#running?.building.heard(commit),
          damaged: (error) => this.#tell({ type: "error", error: failureOf(error) }),
        },
      );
      // Asked for behind the joining, and answered while that completes.
      const [database, noted] = await Promise.all([opening, notedVersion(storage)]);
      if (database.store.wasUpgraded) tabs.post({ type: "commit", bytes: undefined });
      lasting.admit = (fresh) => database.store.admit(new ReservingStorage(fresh, makeRoom));
      const definition = keepForMs === undefined ? request.definition : { ...request.definition, keepForMs };
      database.retirement.version = definition.version;
      const { migrate, build: lockName } = lockNames(request.name);
      const { pending, lock } = await upgrade(database, definition, locks, migrate, () => tabs.keepForMs());
      this.#migrating = lock;
      if (!pending && database.catalog.version !== noted) await noteVersion(storage, database.catalog.version);
      const collection = collectionOf(request.gc ?? {});
      const { foreground, grants, slices } = backgroundOf(request, environment, {
        tell: (waits) => this.#tell({ type: "work", waits }),
        debt: () => this.#running?.upkeep.debt ?? 0,
      });
      const upkeep = new Upkeep(database, tabs, environment, request.name, {
        memtableMaxBytes: request.memtableMaxBytes,
        slices,
        collection,
        onProgress: (progress) => {
          tabs.post({ type: "gc", progress });
          this.#tellProgress(progress);
        },
        onError: (e) => this.#failed(e),
      });
      const jobs = jobsOf(upkeep, tabs, environment, (event) => this.#tell(event));
      const [now, ticks] = [(): number => clock.now(), (): number => environment.ticks()];
      const gc = new GcDesk({ database, proof: collection.proof, now, ticks, tabs }, jobs);
      const tell = (event: HostEvent): void => this.#tell(event);
      const onError = (e: unknown): void => this.#failed(e);
      const room = (): Promise<void> => upkeep.room();
      const building = new Building({ database, locks, lockName, clock, slices, room, tell, onError });
      const feeds = new Feeds(database.store, (handles) => this.#tell({ type: "touched", handles }));
      const consumed = (): void => {
        tabs.post({ type: "consumed" });
        upkeep.consumed();
      };
      const parts = { clock, database, tabs, upkeep, storage, foreground, grants, jobs, gc, building, feeds, consumed };
      this.#running = { ...parts, definition };
      receive = (message) => this.#receive(message);
      for (const message of early) this.#receive(message);
      upkeep.start();
      building.changed();
      void this.#look(environment);
      return { database, pending };
    } catch (e) {
      this.#migrating?.release();
      const ended = opened?.close();
      tabs.leave();
      await Promise.race([ended, environment.clock.sleep(maxEndingMs)]); // the page may end the worker now
      throw e;
    }
  }

  async submit(requests: readonly Request[]): Promise<readonly Response[]> {
    if (!Array.isArray(requests)) throw invalidOption("requests", "a list");
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
      if (this.#outdated && isChange(request)) throw this.#outdated;
      return { ok: true, value: await answer(running, request) };
    } catch (e) {
      if (isTidemarkError(e, "FORMAT_UNSUPPORTED")) this.#outdate(e);
      return { ok: false, error: failureOf(this.#reason(running, e)) };
    }
  }

  /** What ended the database, or its upkeep here, says more than how a call met its end. */
  #reason({ database }: Running, e: unknown): unknown {
    if (this.#closed !== undefined) return closed(this.#closed);
    if (!isTidemarkError(e, "CLOSED")) return explained(database, e);
    if (this.#outdated) return this.#outdated;
    this.#failed(e);
    return e;
  }

  async close(): Promise<Opened> {
    await this.#opening;
    const running = this.#running;
    if (!running || this.#closed !== undefined) return { ok: true, catalog: undefined };
    const { database, storage, tabs } = running;
    await database.idle();
    this.#closed = "closed";
    await stopped(running);
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
        database.giveWay(message.by, message.forMs);
        return;
      case "deleted":
        // Late word of an earlier database of this name is not about ours: what is stored tells.
        void this.#guard(database.store.reload());
        return;
      case "ping":
        tabs.post({ type: "pong" });
        return;
      case "upkeep":
        jobs.moved();
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
    const { store } = this.#running.database;
    this.#isFollowing = true;
    await Promise.resolve();
    this.#isFollowing = false;
    await this.#guard(store.follow());
  }

  async #look({ clock }: Environment): Promise<void> {
    for (; this.#closed === undefined && !this.#outdated; await clock.sleep(lookMs)) {
      const { database, feeds } = this.#running ?? {};
      if (database?.isWatched || feeds?.size) await this.#follow();
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
    if (isTidemarkError(e, "FORMAT_UNSUPPORTED")) this.#outdate(e);
    else if (isTidemarkError(e, "CLOSED")) this.#end(reasonOf(e));
    else this.#tell({ type: "error", error: failureOf(e) });
  }

  /** A newer build has upgraded what is stored. What memory and blocks in it have can still be read. */
  #outdate(why: TidemarkError): void {
    if (this.#outdated || !this.#running) return;
    this.#outdated = why;
    this.#tell({ type: "outdated", reason: "format" });
    void stopped(this.#running); // whoever can read it all does the rest
  }

  /** The database ends under us: every call from now on fails with CLOSED. */
  #end(reason: string): void {
    const running = this.#running;
    if (!running || this.#closed !== undefined) return;
    this.#closed = reason;
    const ended = stopped(running).then(() => this.#letGo(running));
    void Promise.race([ended, running.clock.sleep(maxEndingMs)]).then(() => this.#tell({ type: "closed", reason }));
  }

  async #letGo({ clock, database, storage, tabs }: Running): Promise<void> {
    await database.idle(); // an append under way may have to be withdrawn
    database.handles.closeAll();
    const ended = storage.close();
    this.#migrating?.release();
    tabs.leave();
    await Promise.race([ended, clock.sleep(maxEndingMs)]);
    this.#running = undefined; // who keeps a closed handle does not keep its memory
  }

  #catalogChanged(catalog: Catalog): void {
    const { database, definition, building, storage } = this.#running ?? {};
    if (!database || !definition) return;
    const version = writableFrom(catalog);
    if (version > Math.max(definition.version, this.#newest))
      this.#tell({ type: "outdated", reason: "schema", version });
    this.#newest = Math.max(version, this.#newest);
    if (!database.retirement.reads) this.#tell({ type: "catalog", catalog });
    building?.changed();
    if (catalog.version < definition.version || !this.#migrating) return;
    this.#migrating.release(); // the page is done
    this.#migrating = undefined;
    void this.#guard(noteVersion(storage!, version));
  }

  #tell(event: HostEvent): void {
    this.#events?.(event);
  }
}

const stopped = ({ upkeep, building }: Running): Promise<unknown> => Promise.all([upkeep.stop(), building.stop()]);
