/**
 * A handle's host: opens the database on it and, when its worker dies, on another one. Calls go through `connection`,
 * which says what becomes of those that a dead worker owed an answer. Workers that die one after another, or a
 * database that does not open again, end the handle.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { asHostEvent } from "../protocol/forms.ts";
import { defaultSliceMs, type HostEvent, type Opened, type OpenRequest } from "../protocol/messages.ts";
import { Connection, errorOf } from "./connection.ts";
import type { HostLink } from "./connectors.ts";
import { IdleGrants } from "./idle.ts";
import { Deaths, isWorkerLoss, owed } from "./worker-death.ts";

export type Pending = NonNullable<Extract<Opened, { readonly ok: true }>["pending"]>;

export interface Keeping {
  readonly request: OpenRequest;
  link(): Promise<HostLink>;
  opened(catalog: Catalog): void;
  receive(event: Exclude<HostEvent, { type: "closed" | "work" }>): void;
  /** The worker died; another one is being started. */
  died(error: TidemarkError): void;
  /** It is over for good. */
  ended(error: TidemarkError): void;
}

export class HostKeeper {
  readonly #keeping: Keeping;
  readonly #deaths = new Deaths();
  #connection = new Connection();
  /** To the host that has the database open. */
  #link: HostLink | undefined;
  #idle: IdleGrants | undefined;
  /** The one that is open: no other of its name will do. */
  #database: number | undefined;
  /** The opening on the next worker. */
  #restarting: Promise<void> | undefined;
  #isClosing = false;
  /** Resolves when no answer of the host will come any more. */
  readonly #over: Promise<void>;
  #finish: () => void = () => undefined;

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
    this.#over = new Promise((resolve) => (this.#finish = resolve));
  }

  /** To the present worker or, while there is none, to the next one. */
  get connection(): Connection {
    return this.#connection;
  }

  /** Opens the database; answers what is pending, to be done before all else. Where it fails it may be tried again. */
  async open(): Promise<Pending | undefined> {
    for (;;) {
      const link = await this.#keeping.link();
      try {
        return await this.#openOn(link);
      } catch (e) {
        link.dispose();
        this.#idle?.dispose();
        if (!isWorkerLoss(e)) throw e;
        if (this.#deaths.add(e, performance.now())) throw owed("none", e);
        this.#keeping.died(e);
      }
    }
  }

  async #openOn(link: HostLink): Promise<Pending | undefined> {
    let early: TidemarkError | undefined;
    const idle = this.#idleFor(link);
    const request = this.#request(idle);
    const opened = await link.surface.open(request, (told) => {
      const event = asHostEvent(told);
      if (!event) return;
      if (event.type === "work") return idle?.work(event.waits);
      if (event.type !== "closed") return this.#keeping.receive(event);
      early ??= closedError(event.reason);
      if (this.#link === link) this.#end(early);
    });
    if (!opened.ok) throw errorOf(opened.error);
    if (early) throw early;
    this.#database = opened.database;
    if (opened.catalog) this.#keeping.opened(opened.catalog);
    this.#link = link;
    this.#connection.connect(link.surface);
    idle?.opened();
    void link.ended.then((death) => {
      if (this.#link === link) this.#succeed(link, death);
    });
    return opened.pending;
  }

  /** Lets go of a database that was opened, and is not what it should be: it may be opened again. */
  async abandon(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    this.#database = undefined;
    this.#connection = new Connection();
    this.#idle?.dispose();
    await link?.surface.close().catch(() => undefined);
    link?.dispose();
  }

  /** Grants that worker slices, in place of the one before. */
  #idleFor({ page, surface }: HostLink): IdleGrants | undefined {
    this.#idle?.dispose();
    const budgetMs = this.#keeping.request.gc?.budgetMs ?? defaultSliceMs;
    const isBusy = (): boolean => this.#connection.isAwaited;
    this.#idle = page && new IdleGrants({ page, surface, budgetMs, isBusy });
    return this.#idle;
  }

  /** What was dropped once is not dropped again: another program may have declared it since. */
  #request(idle: IdleGrants | undefined): OpenRequest {
    const request = { ...this.#keeping.request, page: idle?.state };
    if (this.#database === undefined) return request;
    return { ...request, database: this.#database, definition: { ...request.definition, dropCollections: [] } };
  }

  /** The worker died: the next one takes its place. */
  #succeed(link: HostLink, death: TidemarkError): void {
    link.dispose();
    this.#idle?.dispose();
    this.#link = undefined;
    this.#connection = this.#connection.succeed(death);
    if (this.#isClosing) return this.#stop(death);
    if (this.#deaths.add(death, performance.now())) return this.#end(crashed(death));
    this.#keeping.died(death);
    this.#restarting = this.#reopen().catch((e: unknown) => this.#end(isTidemarkError(e, "CLOSED") ? e : crashed(e)));
  }

  async #reopen(): Promise<void> {
    await this.open();
  }

  /** Waits for what is under way and lets go; afterwards every call fails with `refusal`. */
  async close(refusal: TidemarkError): Promise<void> {
    this.#isClosing = true;
    await this.#restarting;
    const link = this.#link;
    if (!link) return;
    try {
      await this.#connection.idle();
      const closed = await Promise.race([this.#over, link.surface.close()]);
      // Where it ended by itself meanwhile, the calls it did not answer have failed; it is closed all the same.
      if (closed && !closed.ok) throw errorOf(closed.error);
    } finally {
      this.#stop(refusal);
    }
  }

  #end(error: TidemarkError): void {
    this.#stop(error);
    this.#keeping.ended(error);
  }

  #stop(error: TidemarkError): void {
    const link = this.#link;
    this.#link = undefined;
    this.#connection.fail(error);
    this.#idle?.dispose();
    link?.dispose();
    this.#finish();
  }
}

export const closedError = (reason: string): TidemarkError =>
  new TidemarkError("CLOSED", `This database handle is closed (${reason})`, { reason });

function crashed(cause: unknown): TidemarkError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError(
    "CLOSED",
    `This database handle is closed: its worker died, and starting another one did not help (${why})`,
    { reason: "crashed" },
    cause,
  );
}
