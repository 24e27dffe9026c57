/** Whole tabs, page and worker, in a deterministic world: what a clearing in one of them does to the others. */
import { describe, expect, test, vi } from "vitest";
import { TidemarkError } from "./base/errors.ts";
import { Database } from "./client/database.ts";
import { collection } from "./client/declare.ts";
import type { Declarations } from "./client/types.ts";
import { Host } from "./host/host.ts";
import type { Process } from "./testing/process.ts";
import { randomFrom } from "./testing/random.ts";
import { simulate, type World } from "./testing/world.ts";
import type { HostSurface } from "./protocol/messages.ts";

vi.setConfig({ testTimeout: 30_000 });

interface Row {
  id: string;
  v: number;
  slug?: string;
}
const indexes = { v: "v", slug: { path: "slug", unique: true } } as const;
const rows = collection<Row>()({ key: "id", indexes });
const plain = collection<Row>()({ key: "id" });
const both = { rows, plain };

/** What a message between page and worker takes. */
const hopMs = 0.05;

function surfaceOf(process: Process): HostSurface {
  const host = new Host(() => process.environment);
  const hop = async <T>(message: T): Promise<T> => {
    const copy = structuredClone(message);
    await process.sleep(hopMs);
    return copy;
  };
  return {
    hello: () => host.hello(),
    open: async (request, events) => {
      const tell = (event: Parameters<typeof events>[0]): void => void hop(event).then(events);
      return hop(await host.open(await hop(request), tell));
    },
    submit: async (requests) => hop(await host.submit(await hop(requests))),
    grant: async (offer) => hop(await host.grant(await hop(offer))),
    close: () => host.close(),
    deleteDatabase: (name, storage) => host.deleteDatabase(name, storage),
    listDatabases: (storage) => host.listDatabases(storage),
  };
}

interface TabOptions {
  readonly dropCollections?: readonly string[];
  readonly memtableMaxBytes?: number;
}

function openTab<C extends Declarations>(
  world: World,
  name: string,
  collections: C,
  options: TabOptions = {},
): Promise<Database<C>> {
  const ended = new Promise<TidemarkError>(() => undefined);
  const link = { surface: surfaceOf(world.process(name)), ended, dispose: () => undefined };
  return new Database({ name: "shop", collections, storage: "memory", ...options }, () => Promise.resolve(link)).open();
}

const row = (i: number): Row => ({ id: `k${i + 100}`, v: i });
const many = Array.from({ length: 40 }, (_, i) => row(i));
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (e: unknown) => (e instanceof TidemarkError ? e.code : String(e)),
  );

describe("a clearing in another tab", () => {
  test("[MV11] is seen by every kind of read and write of a page that has not heard of it", () =>
    simulate(async (world) => {
      const [a, b] = [await openTab(world, "a", both), await openTab(world, "b", both)];
      const [ours, theirs] = [b.collection("rows"), a.collection("rows")];
      const kinds: (() => Promise<unknown>)[] = [
        () => ours.get("k100"),
        () => ours.has("k100"),
        () => ours.count(),
        () => ours.all(),
        () => ours.where("v").above(3).toArray(),
        () => ours.where("v").count(),
        () => ours.delete("k100"),
        () => ours.update("k100", { v: 9 }),
        () => b.transaction(async (tx) => tx.collection("rows").all()),
        () => b.read((view) => view.collection("rows").count()),
        () => ours.upsert("k100", (present) => ({ id: "k100", v: present?.v ?? -1 })).then((r) => r.v),
      ];
      const seen: unknown[] = [];
      for (const kind of kinds) {
        await theirs.putMany(many);
        await b.readView({ fresh: true }).then((view) => view.release());
        await theirs.clear();
        await world.sleep(0.32); // the worker has heard, its page has not
        seen.push(await kind());
      }
      expect(seen).toEqual([undefined, false, 0, [], [], 0, false, undefined, [], 0, -1]);
    }));

  test("[MV11][TB3] is seen where every message is lost, as soon as the log is looked at", () =>
    simulate(async (world) => {
      world.hub.fate = () => [];
      const [a, b] = [await openTab(world, "a", both), await openTab(world, "b", both)];
      await a.collection("rows").putMany(many);
      await a.collection("rows").clear();
      const view = await b.readView({ fresh: true });
      expect(await view.collection("rows").where("v").toArray()).toEqual([]);
      await a.collection("rows").clear();
      await b.collection("rows").add(row(1));
      expect(await b.collection("rows").where("v").toArray()).toEqual([row(1)]);
    }));

  test("[MV11][MV2] leaves open views and what is read through them as they were", () =>
    simulate(async (world) => {
      const small = { memtableMaxBytes: 64 * 1024 };
      const [a, b] = [await openTab(world, "a", both, small), await openTab(world, "b", both, small)];
      await a.collection("rows").putMany(many);
      const view = await b.readView({ fresh: true });
      for (let n = 0; n < 3; n++) {
        await a.collection("rows").clear();
        await a.collection("rows").putMany(many.slice(n));
        await a.checkpoint();
        await b.collection("rows").count();
        expect(await view.collection("rows").all()).toEqual(many);
        expect(await view.collection("rows").where("v").aboveOrEqual(38).toArray()).toEqual(many.slice(38));
        expect(await view.collection("rows").count()).toBe(40);
      }
    }));

  test("[MV11] runs live queries that read there again, and no others", () =>
    simulate(async (world) => {
      const [a, b] = [await openTab(world, "a", both), await openTab(world, "b", both)];
      await a.collection("rows").putMany(many);
      await a.collection("plain").put(row(1));
      await world.sleep(20);
      const seen: Record<string, unknown[]> = { count: [], one: [], index: [], plain: [], own: [] };
      b.live((q) => q.collection("rows").count()).subscribe((n) => seen["count"]!.push(n));
      b.live((q) => q.collection("rows").get("k101")).subscribe((r) => seen["one"]!.push(r?.v));
      b.live((q) => q.collection("rows").where("v").below(2).toArray()).subscribe((r) => seen["index"]!.push(r.length));
      b.live((q) => q.collection("plain").count()).subscribe((n) => seen["plain"]!.push(n));
      a.live((q) => q.collection("rows").count()).subscribe((n) => seen["own"]!.push(n));
      await world.sleep(50);
      await a.collection("rows").clear();
      await world.sleep(50);
      await a.collection("rows").put(row(1));
      await world.sleep(50);
      expect(seen).toEqual({
        count: [40, 0, 1],
        one: [1, undefined, 1],
        index: [2, 0, 1],
        plain: [1],
        own: [40, 0, 1],
      });
    }));

  test("[MV11] while a live query runs makes it run again", () =>
    simulate(async (world) => {
      const [a, b] = [await openTab(world, "a", both), await openTab(world, "b", both)];
      await a.collection("rows").putMany(many);
      await world.sleep(20);
      const seen: number[] = [];
      b.live(async (q) => {
        const n = await q.collection("rows").count();
        await world.sleep(20);
        return n;
      }).subscribe((n) => seen.push(n));
      await world.sleep(10);
      await a.collection("rows").clear();
      await world.sleep(100);
      expect(seen).toEqual([40, 0]);
    }));

  test.each(Array.from({ length: 10 }, (_, i) => i + 1))(
    "[MV11] changes nothing about the order of a page's calls (seed %i)",
    (seed) =>
      simulate(
        async (world) => {
          const tabs = await Promise.all(["a", "b", "c"].map((name) => openTab(world, name, both)));
          const chance = randomFrom(seed);
          const clearNow = async (): Promise<void> => {
            for (let n = 0; n < 25; n++) {
              await world.sleep(chance() * 6);
              await tabs[n % 3]!.collection("rows").clear();
            }
          };
          /** Calls of which none is awaited: each read sees the writes called before it, and none called after. */
          const callInOrder = async (tab: Database<typeof both>, id: string): Promise<void> => {
            const c = tab.collection("plain");
            const answers: Promise<void>[] = [];
            let last: number | undefined;
            for (let n = 0; n < 150; n++) {
              const kind = Math.floor(chance() * 5);
              const expected = last;
              if (kind === 0) answers.push(c.get(id).then((r) => expect(r?.v).toBe(expected)));
              if (kind === 1)
                answers.push(
                  c.update(id, { v: (last = expected === undefined ? undefined : n) as number }).then(() => undefined),
                );
              if (kind === 2) answers.push(c.delete(id).then((was) => expect(was).toBe(expected !== undefined)));
              if (kind >= 3) answers.push(c.put({ id, v: n }).then(() => undefined));
              if (kind === 2) last = undefined;
              if (kind >= 3) last = n;
              if (chance() < 0.5) await world.sleep(chance() * 0.5);
            }
            await Promise.all(answers);
          };
          await Promise.all([clearNow(), ...tabs.map((tab, i) => callInOrder(tab, `mine${i}`))]);
        },
        { seed },
      ),
  );
});

describe("a clearing among other changes of the schema", () => {
  const indexed = { rows: collection<Row>()({ key: "id", indexes: { ...indexes, both: ["v", "id"] } }), plain };

  test.each(Array.from({ length: 8 }, (_, i) => i + 1))(
    "[MV11][MV10] an index built while others write and clear has just what is there (seed %i)",
    (seed) =>
      simulate(
        async (world) => {
          const chance = randomFrom(seed);
          const [a, b] = [await openTab(world, "a", both), await openTab(world, "b", both)];
          await a.collection("rows").putMany(many);
          const busy = async (tab: Database<typeof both>): Promise<void> => {
            for (let n = 0; n < 20; n++) {
              await world.sleep(chance() * 4);
              if (chance() < 0.3) await tab.collection("rows").clear();
              else await codeOf(tab.collection("rows").put({ ...row(n), slug: `s${n % 7}` }));
            }
          };
          const joining = world.sleep(chance() * 30).then(() => openTab(world, "c", indexed));
          const [c] = await Promise.all([joining, busy(a), busy(b)]);
          const view = await c.readView({ fresh: true });
          const all = await view.collection("rows").all();
          const byBoth = await view.collection("rows").where("both").toArray();
          expect(byBoth).toEqual(all.toSorted((x, y) => x.v - y.v || (x.id < y.id ? -1 : 1)));
          const slugs = await view.collection("rows").where("slug").toArray();
          expect(slugs.map((r) => r.slug)).toEqual([...new Set(all.flatMap((r) => r.slug ?? []))].toSorted());
          await a.collection("rows").put({ id: "late", v: 1000 });
          await world.sleep(20);
          expect((await c.collection("rows").where("both").last())?.id).toBe("late");
        },
        { seed },
      ),
  );
});

describe("dropping a collection", () => {
  test("[MV11][MV10] takes it and its indexes away at open, and nothing else; once more does nothing", () =>
    simulate(async (world) => {
      const a = await openTab(world, "a", both);
      await a.collection("rows").putMany(many);
      await a.collection("plain").put(row(1));
      await a.close();
      const b = await openTab(world, "b", { plain }, { dropCollections: ["rows", "never there"] });
      const { head } = await b.storage.metrics();
      expect(await b.collection("plain").all()).toEqual([row(1)]);
      await b.close();
      const c = await openTab(world, "c", { plain }, { dropCollections: ["rows"] });
      expect((await c.storage.metrics()).head).toBe(head);
      const d = await openTab(world, "d", both);
      expect(await d.collection("rows").all()).toEqual([]);
      expect(await d.collection("rows").where("v").count()).toBe(0);
      expect(await d.collection("plain").all()).toEqual([row(1)]);
    }));

  test("[MV11][MV2] under a tab that still uses it: its views go on, everything else is UNKNOWN_NAME", () =>
    simulate(async (world) => {
      const a = await openTab(world, "a", both);
      await a.collection("rows").putMany(many);
      const view = await a.readView();
      const ends: unknown[] = [];
      a.live((q) => q.collection("rows").count()).subscribe({ error: (e) => ends.push((e as TidemarkError).code) });
      await world.sleep(20);
      const b = await openTab(world, "b", { plain }, { dropCollections: ["rows"] });
      await world.sleep(20);
      const late = a.collection("rows");
      const calls = [late.get("k100"), late.all(), late.put(row(1)), late.clear(), late.update("k100", { v: 1 })];
      expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => "UNKNOWN_NAME"));
      expect(ends).toEqual(["UNKNOWN_NAME"]);
      expect(await view.collection("rows").all()).toEqual(many);
      expect(await view.collection("rows").where("v").count()).toBe(40);
      await a.collection("plain").put(row(2));
      await world.sleep(20);
      expect(await b.collection("plain").all()).toEqual([row(2)]);
    }));

  test("[MV11] with other indexes or another key in its next life", () =>
    simulate(async (world) => {
      const a = await openTab(world, "a", both);
      await a.collection("rows").putMany(many);
      const other = { rows: collection<Row>()({ key: "v", indexes: { id: "id" } }) };
      expect(await codeOf(openTab(world, "b", other))).toBe("OPTIONS_INVALID");
      await openTab(world, "c", { plain }, { dropCollections: ["rows"] });
      const d = await openTab(world, "d", other);
      await d.collection("rows").put(row(1));
      expect(await d.collection("rows").where("id").toArray()).toEqual([row(1)]);
    }));

  test.each([
    [["rows"], "names of collections that are not declared too"],
    ["rows", "a list of names"],
    [[7], "a list of names"],
  ])("is refused for %j", (dropCollections, expected) => {
    const options = { name: "x", collections: both, dropCollections: dropCollections as string[] };
    const make = (): unknown => new Database(options, () => Promise.reject(new Error("not asked for here")));
    expect(make).toThrow(expected);
    expect(make).toThrow(expect.objectContaining({ code: "OPTIONS_INVALID", details: { option: "dropCollections" } }));
  });
});

describe("transactions of a page", () => {
  test("[MV11] clear, write, read and clear again; rolled back, nothing happened", () =>
    simulate(async (world) => {
      const a = await openTab(world, "a", both);
      const c = a.collection("rows");
      await c.putMany(many);
      const failing = a.transaction(async (tx) => {
        await tx.collection("rows").clear();
        throw new Error("mine");
      });
      await expect(failing).rejects.toThrow("mine");
      expect(await c.count()).toBe(40);
      const seen = await a.transaction(async (tx) => {
        const t = tx.collection("rows");
        const calls = [t.put(row(50)), t.clear(), t.put(row(51)), t.count(), t.clear(), t.add(row(52)), t.all()];
        return (await Promise.all(calls)).at(-1);
      });
      expect(seen).toEqual([row(52)]);
      expect(await c.all()).toEqual([row(52)]);
      expect(await c.where("v").toArray()).toEqual([row(52)]);
      await expect(a.transaction((tx) => tx.collection("rows").clear(), { mode: "readonly" })).rejects.toMatchObject({
        code: "TRANSACTION_INVALID",
      });
    }));

  test("[MV11][MV3] increments through any number of clearings lose nothing that was not cleared", () =>
    simulate(async (world) => {
      const tabs = await Promise.all(["a", "b"].map((name) => openTab(world, name, both)));
      const increment = (tab: Database<typeof both>): Promise<unknown> =>
        tab.collection("plain").upsert("n", (r) => ({ id: "n", v: (r?.v ?? 0) + 1 }));
      const clear = async (): Promise<void> => {
        for (let n = 0; n < 5; n++) await tabs[1]!.collection("rows").clear();
      };
      await Promise.all([clear(), ...tabs.flatMap((tab) => Array.from({ length: 20 }, () => increment(tab)))]);
      expect(await tabs[0]!.collection("plain").get("n")).toEqual({ id: "n", v: 40 });
    }));
});
