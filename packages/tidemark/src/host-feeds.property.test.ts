/**
 * The feed of changes against a list of commits. Two tabs commit; upkeep folds, collects and tidies; tabs reopen; a
 * consumer reads, acknowledges, forgets what it did not acknowledge, and is evicted. What it is given is exactly the
 * commits behind its position, in order, with the records as they were before and after.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { unpackValues } from "./codec/values.ts";
import { tidyKept } from "./gc/kept-log.ts";
import { Feeds } from "./host/feeds.ts";
import type { FeedCursor } from "./protocol/changes.ts";
import type { Read, Storage } from "./storage/contract.ts";
import { clear, commit, del, type Item, put, type Tab, World, write } from "./test-world.test-support.ts";

vi.setConfig({ testTimeout: 120_000 });

type Told = { readonly seq: number; readonly changes: readonly unknown[] };

const op = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("put"), tab: fc.nat(1), key: fc.nat(4), large: fc.nat(12) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete"), tab: fc.nat(1), key: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("bulk"), tab: fc.nat(1), size: fc.integer({ min: 2, max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear"), tab: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("upkeep"), tab: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tidy"), tab: fc.nat(1) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("read"), tab: fc.nat(1), bytes: fc.constantFrom(1, 400, 1 << 18) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("ack"), tab: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resume"), tab: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen"), tab: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict"), tab: fc.nat(1) }) },
);
type Op = {
  readonly do: string;
  readonly tab: number;
  readonly key?: number;
  readonly large?: number;
  readonly size?: number;
  readonly bytes?: number;
};

const consumer = "sync";
const writing = { tracked: true, isolation: "serializable", fresh: true, attempt: 0 } as const;
const counted = { read: 0, kept: 0, evicted: 0, large: 0 };

class Run {
  readonly world = new World();
  tabs!: [Tab, Tab];
  readonly #items = new Map<string, Item>();
  readonly #commits: Told[] = [];
  #cursor: FeedCursor = { position: 0 };
  #acknowledged = 0;
  #n = 0;

  async begin(): Promise<void> {
    this.tabs = [await this.world.open(), await this.world.open()];
    await this.#begin(undefined);
    this.#acknowledged = this.#cursor.position;
  }

  #feeds(tab: number): Feeds {
    return new Feeds(this.tabs[tab]!.database.store, () => undefined);
  }

  async #begin(after: number | undefined): Promise<void> {
    this.#cursor = await this.#feeds(0).open({ op: "changes-open", consumer, after });
  }

  async step(o: Op): Promise<void> {
    const tab = this.tabs[o.tab]!;
    switch (o.do) {
      case "put": {
        const large = o.large === 0 ? { pad: "p".repeat(70_000) } : { pad: "q".repeat(50) };
        if (o.large === 0) counted.large++;
        return this.#write(tab, [{ id: `k${o.key}`, n: this.#n++, ...large }], []);
      }
      case "delete":
        return this.#write(tab, [], [`k${o.key}`]);
      case "bulk": {
        const items = Array.from({ length: o.size! }, (_, i) => ({ id: `b${i}`, n: this.#n++, pad: "r".repeat(2000) }));
        return this.#write(tab, items, []);
      }
      case "clear": {
        await tab.database.store.follow();
        const handle = 1_000_000 + this.#n++;
        await tab.database.begin(handle, writing);
        await clear(tab, await tab.database.handle(handle));
        const { seq } = await commit(tab, handle, []);
        this.#items.clear();
        this.#commits.push({ seq, changes: ["clear"] });
        return;
      }
      case "upkeep":
        await tab.database.store.follow();
        await this.world.upkeep(tab, this.tabs);
        return;
      case "tidy":
        if (tab.tenure) await tidyKept(tab.storage, tab.tenure);
        return;
      case "read":
        return this.#read(o.tab, o.bytes!);
      case "ack": {
        const position = this.#cursor.position;
        await this.#feeds(o.tab).acknowledge({ op: "changes-ack", consumer, position, durability: "relaxed" });
        this.#acknowledged = Math.max(this.#acknowledged, position);
        return;
      }
      case "resume":
        await this.#begin(undefined);
        strictEqual(this.#cursor.position, this.#acknowledged);
        return;
      case "reopen":
        this.world.kill(tab);
        this.tabs[o.tab] = await this.world.open();
        return;
      case "evict":
        return this.#evict(tab);
      default:
        throw new Error(o.do);
    }
  }

  async #write(tab: Tab, items: readonly Item[], deletes: readonly string[]): Promise<void> {
    await tab.database.store.follow();
    const { seq } = await write(tab, [...items.map(put), ...deletes.map(del)]);
    const changes: unknown[] = [];
    for (const item of items) {
      changes.push([item.id, this.#items.get(item.id), item]);
      this.#items.set(item.id, item);
    }
    for (const id of deletes) {
      const before = this.#items.get(id);
      if (before) changes.push([id, before, undefined]);
      this.#items.delete(id);
    }
    if (changes.length > 0) this.#commits.push({ seq, changes });
  }

  async #read(tab: number, maxBytes: number): Promise<void> {
    const { store } = this.tabs[tab]!.database;
    await store.follow();
    const from = this.#cursor.position;
    const asked = { op: "changes", feed: 1, consumer, cursor: this.#cursor, collections: undefined, maxBytes } as const;
    const { commits, values, cursor, isHead } = await this.#feeds(tab).read(asked);
    const records = unpackValues(values);
    let next = 0;
    const told = commits.map(({ seq, changes }) => ({
      seq,
      changes: changes.map(({ key }) => {
        if (key === undefined) return "clear";
        const [before, after] = [records[next++] as Item | undefined, records[next++] as Item | undefined];
        return [(after ?? before)!.id, before, after];
      }),
    }));
    deepStrictEqual(
      told,
      this.#commits.filter(({ seq }) => seq > from && seq <= cursor.position),
    );
    ok(cursor.position > from || isHead, "it goes on");
    strictEqual(isHead, cursor.position >= store.head.seq);
    counted.read += told.length;
    if (from < store.fence.seq) counted.kept++;
    this.#cursor = cursor;
  }

  async #evict(tab: Tab): Promise<void> {
    await tab.database.store.follow();
    tab.tenure = undefined;
    await this.world.advance(tab, { evict: new Set([`consumer/${consumer}`]) });
    await isRefused(() => this.#begin(undefined));
    const { position } = this.#cursor;
    await isRefused(() => this.#feeds(1).acknowledge({ op: "changes-ack", consumer, position, durability: "strict" }));
    await isRefused(() => this.#read(1, 1));
    counted.evicted++;
    await this.tabs[0].database.store.follow();
    await this.#begin(this.tabs[0].database.store.head.seq);
    this.#acknowledged = this.#cursor.position;
  }

  /** All that is left to be told is told; and then nothing is kept, and no body is left behind. */
  async end(): Promise<void> {
    const [tab] = this.tabs;
    await tab.database.store.follow();
    while (this.#cursor.position < tab.database.store.head.seq) await this.#read(0, 1 << 18);
    await this.step({ do: "ack", tab: 0 });
    tab.tenure = undefined;
    await this.world.upkeep(tab, this.tabs);
    await this.step({ do: "tidy", tab: 0 });
    const [kept, mark] = await tab.storage.read([keptKeys, { kind: "get", store: "meta", key: "kept-log" }]);
    const { store } = tab.database;
    await store.follow();
    // The advance of the floor is a commit too: at most that is behind what was acknowledged.
    ok(kept!.length <= 1, `${kept!.length} entries are kept`);
    if (kept!.length === 0 && this.#acknowledged >= store.fence.seq) strictEqual(mark!.length, 0);
  }
}

const keptKeys: Read = { kind: "keys", store: "log", range: { to: -1 } };

async function isRefused(call: () => Promise<unknown>): Promise<void> {
  await call().then(
    () => ok(false, "it was not refused"),
    (e: unknown) => ok(isTidemarkError(e, "RESYNC_REQUIRED"), String(e)),
  );
}

describe("the feed of changes", () => {
  test("[OL1][VG3] a consumer is given exactly the commits behind its position, with what was before and after", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 5, maxLength: 60 }), async (ops) => {
        const run = new Run();
        await run.begin();
        for (const o of ops) await run.step(o);
        await run.end();
      }),
      { numRuns: 150 },
    );
    for (const count of Object.values(counted)) expect(count).toBeGreaterThan(0);
  });

  test("[OL7] opening reads nothing of what is kept, however much that is", async () => {
    const world = new World();
    const tab = await world.open();
    await new Feeds(tab.database.store, () => undefined).open({ op: "changes-open", consumer, after: undefined });
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 10; n++) await write(tab, [put({ id: `k${n}`, n: round })]);
      await world.upkeep(tab);
      await tidyKept(tab.storage, tab.tenure!);
    }
    expect((await tab.storage.read([keptKeys]))[0]!.length).toBeGreaterThanOrEqual(200);
    let below = 0;
    const watching = (storage: Storage): Storage => ({
      read: async (reads) => counting(await storage.read(reads)),
      commit: async (batch) => {
        const done = await storage.commit(batch);
        if (done.status === "committed") counting(done.found);
        return done;
      },
      close: () => storage.close(),
    });
    function counting<F extends readonly (readonly { readonly key: unknown }[])[]>(found: F): F {
      below += found.flat().filter(({ key }) => typeof key === "number" && key < 0).length;
      return found;
    }
    const second = await world.open((storage) => watching(storage));
    expect(second.database.store.head.seq).toBe(tab.database.store.head.seq);
    expect(below).toBe(0);
  });
});
