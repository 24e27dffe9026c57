/** A page without a client: it speaks to its host in the protocol's own terms. */
import { expect } from "vitest";
import { type ByteKey, byteKey } from "./base/brand.ts";
import { ByteWriter } from "./base/bytes.ts";
import { isTidemarkError, TidemarkError } from "./base/errors.ts";
import { encodeIndexKey, encodeKey, prefixEnd } from "./codec/key.ts";
import { extractIndexKeys } from "./codec/path.ts";
import { tablePrefix, type WriteKind, writeRecordHead, writeWriteHead } from "./codec/record.ts";
import type { Catalog, Definition, StoredCollection } from "./codec/schema.ts";
import { encodeValue } from "./codec/value.ts";
import { unpackValues } from "./codec/values.ts";
import { Host } from "./host/host.ts";
import type { Process } from "./testing/process.ts";
import type { World } from "./testing/world.ts";
import { readPins } from "./mvcc/holders.ts";
import {
  type Answers,
  type CommitAnswer,
  type Durability,
  type HostEvent,
  type KeyRange,
  type Opened,
  type OpenRequest,
  protocolVersion,
  type Request,
  type ScanRequest,
} from "./protocol/messages.ts";
import type { StoreName } from "./storage/contract.ts";

export interface Item {
  readonly id: string;
  readonly n: number;
  readonly tags?: readonly string[];
  readonly pad?: string;
}

export const databaseName = "shop";
const definition: Definition = {
  version: 1,
  dropCollections: [],
  collections: {
    items: { key: "id", indexes: { tags: { path: "tags", unique: false, multi: true } } },
  },
};

/** Items whose ids are in the order of their numbers. */
export const item = (i: number, n = i): Item => ({ id: `k${String(i).padStart(4, "0")}`, n, pad: "x".repeat(200) });
export const range = (from: number, to: number): Item[] => Array.from({ length: to - from }, (_, i) => item(from + i));

type PageOptions = Partial<Omit<OpenRequest, "protocol" | "storage">>;

/** As the client does: after so many retries a transaction has failed. */
const maxRetries = 10;
/** What a message between page and worker takes. */
const hopMs = 0.05;

export class Page {
  readonly process: Process;
  readonly host: Host;
  readonly events: HostEvent[] = [];
  readonly request: OpenRequest;
  #catalog: Catalog | undefined;
  /** Of handles that read by another one. */
  readonly #catalogs = new Map<number, Catalog>();
  #handles = 0;

  constructor(process: Process, options: PageOptions = {}) {
    this.process = process;
    this.host = new Host(() => process.environment);
    this.request = {
      protocol: protocolVersion,
      name: databaseName,
      storage: "memory",
      definition,
      cacheMaxBytes: 1 << 20,
      memtableMaxBytes: 1 << 20,
      ...options,
    };
  }

  /** Opens the database; the answer as it is. */
  async tryOpen(): Promise<Opened> {
    const opened = await this.host.open(this.request, (event) => {
      const copy = structuredClone(event);
      this.events.push(copy);
      if (copy.type === "catalog") this.#catalog = copy.catalog;
    });
    if (opened.ok) this.#catalog = opened.catalog;
    return opened;
  }

  /** @throws the failure. */
  async open(): Promise<this> {
    unwrap(await this.tryOpen());
    return this;
  }

  async close(): Promise<void> {
    unwrap(await this.host.close());
  }

  /** Reasons of `closed` events. */
  get endings(): string[] {
    return this.events.flatMap((e) => (e.type === "closed" ? [e.reason] : []));
  }
  /** Codes of `error` events. */
  get errors(): string[] {
    return this.events.flatMap((e) => (e.type === "error" ? [e.error.code] : []));
  }
  get touched(): number[] {
    return this.events.flatMap((e) => (e.type === "touched" ? [...e.handles] : []));
  }

  /** @throws the failure that the host answers with. */
  async call<Op extends Request["op"]>(request: Extract<Request, { op: Op }>): Promise<Answers[Op]> {
    await this.process.sleep(hopMs);
    const [response] = await this.host.submit(structuredClone([request]));
    await this.process.sleep(hopMs);
    return structuredClone(unwrap(response!) as { value: Answers[Op] }).value;
  }

  /** Names tables as a page does: by the schema it knows, and where that is refused, by the one the worker has. */
  async #spoken<T>(handle: number, step: (catalog: Catalog) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await step(this.#catalogs.get(handle) ?? this.#catalog!);
      } catch (e) {
        if (!isTidemarkError(e, "CONFLICT") || e.details["by"] !== "schema" || attempt >= maxRetries) throw e;
        const catalog = await this.call<"catalog">({ op: "catalog", handle });
        if (handle === 0) this.#catalog = catalog;
        else this.#catalogs.set(handle, catalog);
      }
    }
  }

  keyOf(id: string, catalog = this.#catalog!): ByteKey {
    return byteKey(tablePrefix(itemsOf(catalog).table) + encodeKey(id, "items.id"));
  }

  get catalog(): Catalog {
    return this.#catalog!;
  }

  get allKeys(): KeyRange {
    return allKeys(this.#catalog!);
  }

  encode(kind: WriteKind, items: readonly Item[], catalog = this.#catalog!): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    for (const one of items) {
      const payload = kind === "delete" ? undefined : payloadOf(one, catalog);
      writeWriteHead(out, kind, this.keyOf(one.id, catalog), payload?.length ?? 0);
      if (payload) out.bytes(payload);
    }
    return out.finish();
  }

  async write(kind: WriteKind, items: readonly Item[], durability: Durability = "relaxed"): Promise<CommitAnswer> {
    return this.#spoken(0, (catalog) => {
      const { epoch } = catalog;
      return this.call<"write">({ op: "write", writes: this.encode(kind, items, catalog), epoch, durability, tag: "" });
    });
  }

  put(...items: readonly Item[]): Promise<CommitAnswer> {
    return this.write("put", items);
  }

  delete(...ids: readonly string[]): Promise<CommitAnswer> {
    return this.write(
      "delete",
      ids.map((id) => ({ id, n: 0 })),
    );
  }

  async get(id: string, handle = 0): Promise<Item | undefined> {
    const values = await this.#spoken(handle, (catalog) =>
      this.call<"get">({ op: "get", handle, epoch: catalog.epoch, keys: [this.keyOf(id, catalog)] }),
    );
    return unpackValues(values)[0] as Item | undefined;
  }

  /** All items in key order, part by part. */
  async all(handle = 0): Promise<Item[]> {
    return this.#spoken(handle, (catalog) => this.scan({ ...allKeys(catalog), handle, epoch: catalog.epoch }));
  }

  async scan(query: Partial<ScanRequest> & KeyRange): Promise<Item[]> {
    const items: Item[] = [];
    const opened = query.handle ?? 0;
    let next: ScanRequest | undefined = {
      op: "scan",
      handle: 0,
      epoch: this.#catalog!.epoch,
      ranges: [{ from: query.from, to: query.to }],
      reverse: false,
      records: undefined,
      skip: 0,
      limit: undefined,
      once: undefined,
      wants: "values",
      maxBytes: 1 << 16,
      ...query,
    };
    while (next) {
      const request: ScanRequest = next;
      const { values, handle, rest } = await this.call<"scan">(request);
      items.push(...(unpackValues(values!) as Item[]));
      const limit = query.limit === undefined ? undefined : query.limit - items.length;
      next = rest && { ...request, ranges: [rest.left], handle, limit };
      if (!rest && handle !== opened) await this.end(handle);
    }
    return items;
  }

  /** The items with a tag in from…to, each once. */
  byTags(from: string, to: string, query: Partial<ScanRequest> = {}): Promise<Item[]> {
    return this.#spoken(query.handle ?? 0, (catalog) => {
      const whole = tagRange(catalog, from, to);
      const once = { within: [whole], at: query.reverse ? "greatest" : "least" } as const;
      return this.scan({ ...whole, once, records: itemsOf(catalog).table, epoch: catalog.epoch, ...query });
    });
  }

  countByTags(from: string, to: string, handle = 0): Promise<number> {
    return this.#spoken(handle, (catalog) => {
      const whole = tagRange(catalog, from, to);
      const { epoch } = catalog;
      const records = itemsOf(catalog).table;
      return this.call<"count">({
        op: "count",
        handle,
        epoch,
        ranges: [whole],
        once: { within: [whole], at: "least" },
        records,
        limit: undefined,
      });
    });
  }

  newHandle(): number {
    return ++this.#handles;
  }

  begin(handle: number, kind: "view" | "transaction" | "live", attempt = 0, fresh = false): Promise<{ seq: number }> {
    return this.call<"begin">({ op: "begin", handle, kind, isolation: "serializable", fresh, attempt });
  }

  end(handle: number): Promise<void> {
    return this.call<"end">({ op: "end", handle });
  }

  stage(handle: number, kind: WriteKind, items: readonly Item[]): Promise<readonly boolean[]> {
    return this.#spoken(handle, (catalog) =>
      this.call<"stage">({ op: "stage", handle, epoch: catalog.epoch, writes: this.encode(kind, items, catalog) }),
    );
  }

  /** Empties the collection within a transaction. */
  async clearIn(handle: number): Promise<void> {
    const catalog = await this.#spoken(handle, ({ epoch }) =>
      this.call<"clear">({ op: "clear", handle, epoch, collection: "items" }),
    );
    this.#catalogs.set(handle, catalog);
  }

  clear(): Promise<number> {
    return this.transact((handle) => this.clearIn(handle));
  }

  commit(handle: number): Promise<CommitAnswer> {
    return this.call<"commit">({ op: "commit", handle, durability: "relaxed", tag: "" });
  }

  /** Runs a body as the client does, again after each conflict. Answers how often it was run. */
  async transact(body: (handle: number) => Promise<void>): Promise<number> {
    for (let attempt = 0; ; attempt++) {
      const handle = this.newHandle();
      try {
        const begun = this.begin(handle, "transaction", attempt);
        begun.catch(() => undefined); // awaited below
        if (attempt > 0) await begun;
        await body(handle);
        await begun;
        await this.commit(handle);
        return attempt + 1;
      } catch (e) {
        if (!isTidemarkError(e, "CONFLICT") || attempt >= maxRetries) throw e;
      } finally {
        await this.end(handle);
      }
    }
  }

  /** Reads one item and watches it; answers the handle that a change will name. */
  async watch(id: string): Promise<number> {
    const handle = this.newHandle();
    await this.begin(handle, "live");
    await this.get(id, handle);
    await this.call<"watch">({ op: "watch", handle });
    return handle;
  }

  checkpoint(): Promise<void> {
    return this.call<"checkpoint">({ op: "checkpoint" });
  }
  metrics(): Promise<Answers["metrics"]> {
    return this.call<"metrics">({ op: "metrics" });
  }
  verify(): Promise<Answers["verify"]> {
    return this.call<"verify">({ op: "verify" });
  }
}

const itemsOf = (catalog: Catalog): StoredCollection => catalog.collections["items"]!;

function allKeys(catalog: Catalog): KeyRange {
  const from = tablePrefix(itemsOf(catalog).table);
  return { from, to: prefixEnd(from) };
}

/** Index entries with from ≤ tag ≤ to. */
function tagRange(catalog: Catalog, from: string, to: string): KeyRange {
  const prefix = tablePrefix(itemsOf(catalog).indexes["tags"]!.table);
  const at = (tag: string): ByteKey => byteKey(prefix + encodeIndexKey(tag, "items.tags"));
  return { from: at(from), to: prefixEnd(at(to)) };
}

function payloadOf(record: Item, catalog: Catalog): Uint8Array {
  const out = new ByteWriter();
  const keys = Object.values(itemsOf(catalog).indexes).flatMap((index) =>
    extractIndexKeys(record, index, "items").map((k) => byteKey(tablePrefix(index.table) + k)),
  );
  writeRecordHead(out, keys);
  encodeValue(record, out, "items");
  return out.finish();
}

/** Opens the database in a new process. */
export const openPage = (world: World, name: string, options?: PageOptions): Promise<Page> =>
  new Page(world.process(name), options).open();

function unwrap<A extends { readonly ok: boolean }>(answer: A): Extract<A, { ok: true }> {
  if (answer.ok) return answer as Extract<A, { ok: true }>;
  const { error } = answer as unknown as { error: { code: TidemarkError["code"]; message: string; details: object } };
  throw new TidemarkError(error.code, error.message, { ...error.details });
}

/** How a call ended: "ok", or the code of its failure and the reason it gives. */
export const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (e: unknown) => {
      if (!isTidemarkError(e)) throw e;
      const { reason } = e.details;
      return typeof reason === "string" ? `${e.code} ${reason}` : e.code;
    },
  );

/** Adds one to an item's number. Answers how often it had to be tried. */
export const increment = (page: Page, id: string): Promise<number> =>
  page.transact(async (handle) => {
    const n = (await page.get(id, handle))?.n ?? 0;
    await page.stage(handle, "put", [{ id, n: n + 1 }]);
  });

/** The keys in a store, past every host. */
export async function keysIn(world: World, store: StoreName): Promise<number[]> {
  const storage = await world.medium.open(databaseName);
  const [found] = await storage.read([{ kind: "keys", store, range: {} }]);
  await storage.close();
  return found!.map((e) => e.key as number);
}

/** All items there are, by the log's own word. */
export async function freshItems(page: Page): Promise<Item[]> {
  const handle = page.newHandle();
  await page.begin(handle, "view", 0, true);
  const items = await page.all(handle);
  await page.end(handle);
  return items;
}

/** These pages, and one that opens now, see exactly these items, and nothing is damaged. */
export async function expectEverywhere(world: World, pages: readonly Page[], items: Iterable<Item>): Promise<void> {
  const auditor = await openPage(world, "auditor");
  const expected = [...items].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const page of [...pages, auditor]) expect(await freshItems(page)).toEqual(expected);
  expect((await auditor.verify()).damage).toEqual([]);
  await auditor.close();
}

/** Nothing of a page's host is left in the way of others. */
export function expectGone(world: World, page: Page): void {
  expect(page.process.locks).toEqual([]);
  expect(world.hub.listeners(page.process)).toBe(0);
}

/** How many tabs have a pin. */
export async function pinnedTabs(world: World): Promise<number> {
  const storage = await world.medium.open(databaseName);
  const [pins] = await storage.read([readPins]);
  await storage.close();
  return pins!.length;
}

/** `a` does upkeep, and there are six superseded versions of each item; until now a view of `c` held them. */
export async function pagesWithGarbage(
  world: World,
  gc: NonNullable<PageOptions["gc"]>,
  items: readonly Item[],
): Promise<readonly [a: Page, b: Page, c: Page]> {
  const [a, b] = [await openPage(world, "a", { gc }), await openPage(world, "b", { gc })];
  const c = await openPage(world, "c", { gc });
  await a.put(...items);
  const view = c.newHandle();
  await c.begin(view, "view", 0, true);
  for (let n = 1; n <= 6; n++) await a.put(...items.map((one) => ({ ...one, n })));
  await a.checkpoint();
  await c.end(view);
  return [a, b, c];
}
