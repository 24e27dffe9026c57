/** One open database handle of a page: its link to the host, the stored schema, and who listens. */
import { TidemarkError } from "../base/errors.ts";
import type { Catalog, Definition, StoredCollection } from "../codec/schema.ts";
import { type Durability, type HostEvent, type OpenRequest, protocolVersion } from "../protocol/messages.ts";
import { Connection, errorOf } from "./connection.ts";
import type { HostLink } from "./connectors.ts";

export interface SessionOptions {
  readonly name: string;
  readonly definition: Definition;
  readonly storage: OpenRequest["storage"];
  readonly durability: Durability;
  readonly cacheMaxBytes: number;
  readonly memtableMaxBytes: number;
  link(): Promise<HostLink>;
}

export interface DatabaseEvents {
  /** The database ended under this handle: deleted, or its worker died. */
  closed: { readonly reason: string };
  /** Something failed in the background; the database goes on. */
  error: TidemarkError;
}

/** An open link. */
export interface Live {
  readonly connection: Connection;
  readonly link: HostLink;
}

export class Session {
  readonly options: SessionOptions;
  #opening: Promise<Live> | undefined;
  #live: Live | undefined;
  #catalog: Catalog | undefined;
  #ended: TidemarkError | undefined;
  #lastHandle = 0;
  readonly #listeners = new Map<keyof DatabaseEvents, Set<(payload: never) => void>>();
  /** Live queries by the handle they watch. */
  readonly watchers: Map<number, () => void> = new Map();

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /** The open link where there is one: then calls need not wait. */
  get live(): Live | undefined {
    if (this.#ended) throw this.#ended;
    return this.#live;
  }

  get catalog(): Catalog {
    if (!this.#catalog) throw new TidemarkError("INTERNAL", "The database is not open yet");
    return this.#catalog;
  }

  newHandle(): number {
    return ++this.#lastHandle;
  }

  stored(name: string): StoredCollection {
    const stored = this.catalog.collections[name];
    if (stored) return stored;
    throw new TidemarkError("UNKNOWN_NAME", `There is no collection '${name}'`, { collection: name });
  }

  /** Opens on the first call; later calls share it. A failed opening may be tried again. */
  open(): Promise<Live> {
    if (this.#ended) return Promise.reject(this.#ended);
    this.#opening ??= this.#open().catch((e: unknown) => {
      this.#opening = undefined;
      throw e;
    });
    return this.#opening;
  }

  async #open(): Promise<Live> {
    const { name, definition, storage, cacheMaxBytes, memtableMaxBytes } = this.options;
    const link = await this.options.link();
    const request = { protocol: protocolVersion, name, storage, definition, cacheMaxBytes, memtableMaxBytes };
    try {
      const opened = await link.surface.open(request, (event) => this.#receive(event));
      if (!opened.ok) throw errorOf(opened.error);
      this.#catalog ??= opened.catalog;
    } catch (e) {
      link.dispose();
      throw e;
    }
    const live = { connection: new Connection(link.surface), link };
    this.#live = live;
    void link.ended.then((error) => this.#end(error));
    return live;
  }

  /** Fetches the stored schema after a write was refused because it changed. */
  async refreshCatalog(connection: Connection): Promise<void> {
    this.#catalog = await connection.callNow({ op: "catalog" });
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    const live = this.#opening && (await this.#opening.catch(() => undefined));
    this.#ended = closedError("closed");
    if (!live) return;
    await live.connection.idle();
    await live.link.surface.close();
    live.link.dispose();
    live.connection.fail(this.#ended);
  }

  on<E extends keyof DatabaseEvents>(event: E, listener: (payload: DatabaseEvents[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  #receive(event: HostEvent): void {
    switch (event.type) {
      case "touched":
        for (const handle of event.handles) this.watchers.get(handle)?.();
        return;
      case "catalog":
        this.#catalog = event.catalog;
        return;
      case "closed":
        this.#end(closedError(event.reason));
        return;
      case "error":
        this.#emit("error", errorOf(event.error));
        return;
      default:
    }
  }

  #end(error: TidemarkError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#live?.connection.fail(error);
    this.#live?.link.dispose();
    const { reason } = error.details;
    this.#emit("closed", { reason: typeof reason === "string" ? reason : error.message });
  }

  #emit<E extends keyof DatabaseEvents>(event: E, payload: DatabaseEvents[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (p: DatabaseEvents[E]) => void)(payload);
  }
}

const closedError = (reason: string): TidemarkError =>
  new TidemarkError("CLOSED", `This database handle is closed (${reason})`, { reason });
