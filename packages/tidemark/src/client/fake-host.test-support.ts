/** Hosts that answer as told, and database handles on them. */
import { tableId } from "../base/brand.ts";
import { ByteWriter } from "../base/bytes.ts";
import { type ErrorCode, TidemarkError } from "../base/errors.ts";
import type { Catalog } from "../codec/schema.ts";
import { encodeValue } from "../codec/value.ts";
import { packValues, type Values } from "../codec/values.ts";
import {
  type Failure,
  type HostEvent,
  type HostSurface,
  type OfferAnswer,
  type Opened,
  type OpenRequest,
  protocolVersion,
  type Request,
  type Response,
} from "../protocol/messages.ts";
import type { HostLink } from "./connectors.ts";
import { Database, type DatabaseOptions } from "./database.ts";
import { collection } from "./declare.ts";
import type { Declarations } from "./types.ts";
import { workerDied } from "./worker-death.ts";

export const rows = collection<{ id: string; v?: number }>()({ key: "id" });
export type Rows = Database<{ rows: typeof rows }>;

export const catalogOf = (epoch: number): Catalog => ({
  epoch,
  version: 1,
  nextTable: 9,
  collections: { rows: { table: tableId(epoch), key: "id", indexes: {} } },
});
/** Records as a host answers them. */
export const packed = (...records: readonly unknown[]): Values =>
  packValues(
    records.map((record) => {
      const out = new ByteWriter();
      encodeValue(record, out, "rows");
      return out.finish();
    }),
  );
export const failure = (code: ErrorCode, details = {}): TidemarkError => new TidemarkError(code, "", details);
export const schemaChanged: TidemarkError = failure("CONFLICT", { by: "schema" });
export const never = new Promise<never>(() => undefined);
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

/** By default every request succeeds with nothing. */
export class FakeHost implements HostSurface {
  readonly openings: OpenRequest[] = [];
  readonly requests: Request[] = [];
  readonly messages: (readonly Request[])[] = [];
  answer: (request: Request) => unknown = plainAnswer;
  opened: Promise<Opened> = Promise.resolve({ ok: true, catalog: catalogOf(1) });
  closing: Promise<Opened> = Promise.resolve({ ok: true, catalog: undefined });
  disposed = 0;
  tell: (event: HostEvent) => void = () => undefined;
  #end: (error: TidemarkError) => void = () => undefined;
  readonly link: HostLink;

  constructor() {
    const ended = new Promise<TidemarkError>((resolve) => (this.#end = resolve));
    this.link = { surface: this, ended, dispose: () => void this.disposed++ };
  }

  /** As a worker does: what it owes, it never answers. */
  die(why = "killed"): void {
    this.answer = () => never;
    this.#end(workerDied(why));
  }
  hello(): Promise<number> {
    return Promise.resolve(protocolVersion);
  }
  open(request: OpenRequest, events: (event: HostEvent) => void): Promise<Opened> {
    this.openings.push(request);
    this.tell = events;
    const broken = this.link.ended.then((e): never => {
      throw e;
    });
    return Promise.race([this.opened, broken]);
  }
  async submit(requests: readonly Request[]): Promise<readonly Response[]> {
    this.messages.push(requests);
    this.requests.push(...requests);
    return Promise.all(requests.map((r) => this.#respond(r)));
  }
  async #respond(request: Request): Promise<Response> {
    try {
      return { ok: true, value: await this.answer(request) };
    } catch (e) {
      return { ok: false, error: e as Failure };
    }
  }
  grant(): Promise<OfferAnswer> {
    return Promise.resolve({});
  }
  close(): Promise<Opened> {
    return this.closing;
  }
  deleteDatabase(): Promise<never> {
    return Promise.reject(new Error("not asked for here"));
  }
  listDatabases(): Promise<never> {
    return Promise.reject(new Error("not asked for here"));
  }
  get ops(): string[] {
    return this.requests.map((r) => r.op);
  }
}

export function plainAnswer(r: Request): unknown {
  switch (r.op) {
    case "write":
    case "commit":
      return { seq: 1, existed: [true] };
    case "stage":
      return [true];
    case "get":
      return packValues(r.keys.map(() => undefined));
    case "catalog":
      return catalogOf(2);
    case "begin":
      return { seq: 1 };
    default:
      return undefined;
  }
}

/** A handle whose workers are these hosts, one after another; when they are used up, none can be started. */
export const databaseOn = (...hosts: readonly FakeHost[]): Rows => databaseWith({}, ...hosts);

/** As `databaseOn`, with options. */
export function databaseWith(options: Pick<DatabaseOptions<Declarations>, "gc">, ...hosts: readonly FakeHost[]): Rows {
  const left = hosts.values();
  const link = async (): Promise<HostLink> => {
    const next = left.next();
    if (next.done) throw new Error("no further worker");
    return next.value.link;
  };
  return new Database({ ...options, name: "x", collections: { rows } }, link);
}
