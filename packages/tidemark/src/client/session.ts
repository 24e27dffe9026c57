/** One database handle of a page: its link to the host, the order of its calls, the stored schema, and who listens. */
import { TidemarkError } from "../base/errors.ts";
import { UnderWay } from "../base/under-way.ts";
import type { Catalog, Definition } from "../codec/schema.ts";
import type { GcEvent } from "../protocol/gc.ts";
import type { GcSettings } from "../protocol/gc-settings.ts";
import { type Durability, type HostEvent, type OpenRequest, protocolVersion } from "../protocol/messages.ts";
import { BuildNews, isStillBuilding, type StillBuilding, type UpgradeProgress } from "./building.ts";
import { type Connection, errorOf } from "./connection.ts";
import type { ConsumerLocks } from "./consumer-lock.ts";
import type { HostLink } from "./connectors.ts";
import { Diary } from "./diagnostics.ts";
import { closedError } from "./host-keeper.ts";
import { Line } from "./line.ts";
import { callBack } from "./report.ts";
import type { UploadWay } from "./upload.ts";
import { SchemaCalls, type SchemaStep } from "./schema.ts";
import { type Joining, type Seat, SharedHosts } from "./shared-hosts.ts";
import type { Step } from "./source.ts";

export interface SessionOptions {
  readonly name: string;
  readonly definition: Definition;
  readonly storage: OpenRequest["storage"];
  readonly durability: Durability;
  readonly cacheMaxBytes: number;
  readonly memtableMaxBytes: number;
  readonly gc?: GcSettings;
  link(): Promise<HostLink>;
  /** Where the host runs, and with whom it is shared; absent: with nobody. */
  readonly place?: string;
  readonly starter?: unknown;
  readonly hosts?: SharedHosts;
  /** Those of the origin; absent where there are none, or no other tabs. */
  readonly locks?: ConsumerLocks;
  /** Does what is pending when the database was opened. */
  upgrade?(session: Session, connection: Connection): Promise<void>;
}

export interface DatabaseEvents {
  /** The database ended under this handle: deleted, or its workers died one after another ("crashed"). */
  closed: { readonly reason: string };
  /**
   * A newer program, in another tab, changed the schema ("schema": to version `stored`) or the storage format. This one
   * cannot write any more, and of what was migrated it reads the state of before: reload the page.
   */
  outdated: { readonly reason: "schema" | "format"; readonly declared: number; readonly stored?: number };
  /**
   * How far the building of a new index is, whichever tab does it: queries by that index wait, nothing else does. Or how
   * far a migration record by record is, in the tab that does it, as it opens.
   */
  upgrade: UpgradeProgress;
  /** An index could not be built, something failed in the background, or the worker died and is started again; the database goes on. */
  error: TidemarkError;
}

export class Session {
  readonly options: SessionOptions;
  readonly #line = new Line();
  /** Calls that `close` waits for. */
  readonly #underWay = new UnderWay();
  #opening: Promise<void> | undefined;
  readonly #hosts: SharedHosts;
  readonly #joining: Joining;
  /** At the host, from the first opening on. */
  #seat: Seat | undefined;
  #isOpen = false;
  /** Why the last opening failed. */
  #failure: unknown;
  readonly #calls = new SchemaCalls(this.#line, 0);
  readonly #builds = new BuildNews();
  /** Set once no further call is taken. */
  #refusal: TidemarkError | undefined;
  #closing: Promise<void> | undefined;
  readonly #listeners = new Map<keyof DatabaseEvents, Set<(payload: never) => void>>();
  readonly diary: Diary = new Diary();
  /** Live queries by the handle they watch. */
  readonly watchers: Map<number, () => void> = new Map();
  /** Told what garbage collection does, and of which run of this handle, if it is one. */
  readonly gcListeners: Set<(event: GcEvent, job: number | undefined) => void> = new Set();
  /** End the views that are open, which they do not hold: these end with this handle, though the worker may stay. */
  readonly views: Set<() => void> = new Set();
  /** What ends with the database: live queries that run, background jobs. */
  readonly endings: Set<(error: TidemarkError) => void> = new Set();

  constructor(options: SessionOptions) {
    this.options = options;
    const { name, definition, storage, cacheMaxBytes, memtableMaxBytes, gc, place = "" } = options;
    this.#hosts = options.hosts ?? new SharedHosts();
    this.#joining = {
      request: { protocol: protocolVersion, name, storage, definition, cacheMaxBytes, memtableMaxBytes, gc },
      link: () => options.link(),
      place,
      starter: options.starter,
    };
  }

  /** Runs `step` when it is its turn among the calls on this database handle, opening the database if need be. */
  enter<T>(step: Step<T>): Promise<T> {
    return this.#admit(() => this.#line.enter(() => this.#begun(step)));
  }

  /** As `enter`; what is called later waits until `work` is done. */
  hold<T>(work: Step<T>): Promise<T> {
    return this.#admit(() => this.#line.hold(async () => work(this.#connected())));
  }

  #begun<T>(step: Step<T>): Promise<T> {
    try {
      return step(this.#connected());
    } catch (e) {
      return Promise.reject(e);
    }
  }

  /** Opens on the first call; later calls share it. A failed opening may be tried again. */
  open(): Promise<void> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    // What is called meanwhile waits in line.
    this.#opening ??= this.#line.hold(() => this.#connect());
    return this.#opening;
  }

  /** Runs `step`, a call on the head that had its turn, by the stored schema. */
  async underSchema<T>(connection: Connection, step: SchemaStep<T>): Promise<T> {
    for (;;) {
      try {
        return await this.#calls.run(connection, step);
      } catch (e) {
        if (!isStillBuilding(e)) throw e;
        await this.indexReady(connection, e);
      }
    }
  }

  /** Resolves when the index is ready that a call found being built, or will not be. */
  async indexReady(connection: Connection, { details: { collection, index } }: StillBuilding): Promise<void> {
    this.#calls.hear(await connection.call<"ready">({ op: "ready", collection, index }));
    await this.#calls.afterCalls(async () => undefined); // from then on it is spoken
  }

  /**
   * Runs `step`, which had its turn and opens a view: it sees all calls before it, also those to be made again. Should
   * the worker die while it waits for them, it begins on the next one.
   */
  opening<T>(step: Step<T>): Promise<T> {
    return this.#calls.afterCalls(() => step(this.#connected()));
  }

  /** The stored schema, as far as the page knows. */
  get catalog(): Catalog {
    return this.#calls.catalog;
  }

  /** Why no further call is taken, once that is so. */
  get refusal(): TidemarkError | undefined {
    return this.#refusal;
  }

  tellUpgrade(progress: UpgradeProgress): void {
    this.#emit("upgrade", progress);
  }

  /** Where a call that enters now has its turn at once, the way to its worker. */
  upload(): UploadWay | undefined {
    const connection = this.#isOpen && !this.#refusal && this.#line.isFree ? this.#seated.connection : undefined;
    if (!connection?.isThere) return undefined;
    const id = this.#hosts.newNumber();
    return {
      id,
      schema: this.catalog,
      part: (part) => connection.send({ op: "part", part }),
      drop: () => connection.send({ op: "part-drop", upload: id }),
    };
  }

  /** For a view or a transaction. */
  newHandle(): number {
    return this.#hosts.newNumber();
  }
  /** For a background job. */
  newJob(): number {
    return this.#hosts.newNumber();
  }

  /** Takes no further call, waits for those made before, and lets go. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  #admit<T>(call: () => Promise<T>): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    if (!this.#isOpen) this.open().catch(() => undefined); // the call itself tells why it failed
    return this.#underWay.add(call());
  }

  #connected(): Connection {
    if (this.#isOpen) return this.#seated.connection;
    throw this.#failure;
  }

  get #seated(): Seat {
    if (!this.#seat) throw new TidemarkError("INTERNAL", "The database is not open yet");
    return this.#seat;
  }

  async #connect(): Promise<void> {
    const seat = this.#hosts.join(this.#joining, {
      opened: (catalog) => this.#hear(catalog),
      receive: (event) => this.#receive(event),
      died: (error) => this.#died(error),
      ended: (error) => this.#end(error),
    });
    this.#seat = seat;
    try {
      await seat.open(async (connection) => this.options.upgrade?.(this, connection));
      this.#isOpen = true;
    } catch (e) {
      this.#failure = e;
      this.#opening = undefined;
      throw e;
    }
  }

  async #close(): Promise<void> {
    if (this.#refusal) return;
    const error = closedError("closed");
    this.#refusal = error;
    this.#endAll(error);
    await this.#opening?.catch(noop);
    while (!this.#underWay.isEmpty) await this.#underWay.ended();
    for (const end of Array.from(this.views)) end();
    if (this.#isOpen) await this.#seated.leave(error);
  }

  #receive(event: Exclude<HostEvent, { type: "closed" | "work" }>): void {
    switch (event.type) {
      case "touched":
        for (const handle of event.handles) this.watchers.get(handle)?.();
        return;
      case "catalog":
        this.#hear(event.catalog);
        return;
      case "upgrade": {
        const progress = this.#builds.note(event);
        if (progress) this.#emit("upgrade", progress);
        return;
      }
      case "outdated": {
        const { reason, version } = event;
        const declared = this.options.definition.version;
        this.diary.outdated(reason);
        this.#emit("outdated", { reason, declared, ...(version === undefined ? {} : { stored: version }) });
        return;
      }
      case "gc":
        for (const listener of Array.from(this.gcListeners)) listener(event.event, event.job);
        return;
      case "error":
        this.#error(errorOf(event.error));
        return;
      default:
    }
  }

  #hear(catalog: Catalog): void {
    this.#calls.hear(catalog);
    const { ready, failures } = this.#builds.hear(catalog);
    for (const progress of ready) this.#emit("upgrade", progress);
    for (const failure of failures) this.#error(failure);
  }

  /** The worker died: what live queries watched went with it. */
  #died(error: TidemarkError): void {
    this.#error(error);
    for (const refresh of Array.from(this.watchers.values())) refresh();
  }

  /** The database ended under us. */
  #end(error: TidemarkError): void {
    this.#line.fail(error);
    if (this.#refusal) return;
    this.#refusal = error;
    this.#endAll(error);
    const { reason: given } = error.details;
    const reason = typeof given === "string" ? given : error.message;
    this.diary.closed(reason);
    this.#emit("closed", { reason });
  }

  #error(error: TidemarkError): void {
    this.diary.error(error);
    this.#emit("error", error);
  }

  #endAll(error: TidemarkError): void {
    for (const end of this.endings) end(error);
  }

  #emit<E extends keyof DatabaseEvents>(event: E, payload: DatabaseEvents[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      callBack(() => (listener as (p: DatabaseEvents[E]) => void)(payload));
    }
  }
}

const noop = (): void => undefined;
