import { firstValueFrom, from, type InteropObservable } from "rxjs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { linkInline } from "./inline.ts";
import { collection, createDatabase } from "./index.ts";
import { Database } from "./client/database.ts";
import type { Request } from "./protocol/messages.ts";

vi.setConfig({ expect: { poll: { interval: 2 } } });

const collections = { rows: collection<{ id: string; v: number }>()({ key: "id" }) };
type Db = Database<typeof collections>;

let n = 0;
const made: Db[] = [];
function make(): Db {
  const db = createDatabase({ name: `live-interop${n++}`, collections, storage: "memory", worker: false });
  made.push(db);
  return db;
}
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(made.splice(0).map((db) => db.close()));
});

/** A database that tells what is asked of its host. */
function makeObserved(): { readonly db: Db; readonly asked: Request[] } {
  const asked: Request[] = [];
  const db = new Database({ name: `live-interop${n++}`, collections, storage: "memory" }, async () => {
    const link = linkInline();
    const surface = new Proxy(link.surface, {
      get: (host, name) => {
        const method: unknown = Reflect.get(host, name);
        if (typeof method !== "function") return method;
        return (...args: unknown[]): unknown => {
          if (name === "submit") asked.push(...(args[0] as Request[]));
          return Reflect.apply(method, host, args);
        };
      },
    });
    return { ...link, surface };
  });
  made.push(db);
  return { db, asked };
}

describe("one live query of many subscribers", () => {
  test("runs once for all; the last to leave releases what is watched; whoever comes then starts it anew", async () => {
    const { db, asked } = makeObserved();
    const count = (op: Request["op"]): number => asked.filter((r) => r.op === op).length;
    const live = db.live((q) => q.collection("rows").count());
    const seen: number[] = [];
    const subscriptions = [1, 2, 3].map(() => live.subscribe((v) => seen.push(v)));
    await expect.poll(() => seen).toEqual([0, 0, 0]);
    expect([count("begin"), count("watch"), count("end")]).toEqual([1, 1, 0]);
    subscriptions.push(live.subscribe((v) => seen.push(v)));
    expect(seen).toEqual([0, 0, 0, 0]); // at once
    await db.collection("rows").put({ id: "a", v: 1 });
    await expect.poll(() => seen.length).toBe(8);
    expect([count("begin"), count("watch"), count("end")]).toEqual([2, 2, 1]);

    for (const subscription of subscriptions.slice(1)) subscription.unsubscribe();
    await db.collection("rows").has("a");
    expect(count("end")).toBe(1);
    subscriptions[0]!();
    await db.collection("rows").has("a");
    expect(count("end")).toBe(2); // every view begun has ended

    await db.collection("rows").put({ id: "b", v: 1 });
    await db.collection("rows").has("a");
    expect(count("begin")).toBe(2);
    expect(live.current).toBe(1);
    live.subscribe((v) => seen.push(v));
    expect(seen).toHaveLength(8); // what may be stale is not told
    await expect.poll(() => seen.at(-1)).toBe(2);
  });

  test("a thousand that come and go leave nothing behind", async () => {
    const { db, asked } = makeObserved();
    await db.open();
    const live = db.live((q) => q.collection("rows").count());
    for (let i = 0; i < 1000; i++) {
      const subscription = live.subscribe(() => undefined);
      if (i % 100 === 0) await db.collection("rows").put({ id: "a", v: i });
      subscription.unsubscribe();
    }
    await db.collection("rows").has("a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const handles = (op: "begin" | "end"): number[] =>
      asked.flatMap((r) => (r.op === op ? [(r as Request & { handle: number }).handle] : [])).toSorted((a, b) => a - b);
    expect(handles("begin").length).toBeGreaterThan(0);
    expect(handles("end")).toEqual(handles("begin"));
    const ran = asked.length;
    await db.collection("rows").put({ id: "z", v: 0 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked.slice(ran).map((r) => r.op)).toEqual(["write"]);
  });
});

describe("as an observable", () => {
  const interop = <T>(live: unknown): InteropObservable<T> => live as InteropObservable<T>;

  test("RxJS takes it with `from`, gets its results and its end, and leaves", async () => {
    const db = make();
    const live = db.live((q) => q.collection("rows").count());
    expect(await firstValueFrom(from(interop<number>(live)))).toBe(0);
    const seen: unknown[] = [];
    const subscription = from(interop<number>(live)).subscribe((v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0]);
    subscription.unsubscribe();
    await db.collection("rows").put({ id: "a", v: 1 });
    from(interop<number>(live)).subscribe({
      next: (v) => seen.push(v),
      error: (e) => seen.push((e as { code: string }).code),
      complete: () => seen.push("complete"),
    });
    await expect.poll(() => seen).toEqual([0, 1]);
    await db.close();
    expect(seen).toEqual([0, 1, "CLOSED"]);
  });

  test("answers to `Symbol.observable` where somebody defines it", () => {
    const observable = Symbol("observable");
    vi.stubGlobal(
      "Symbol",
      Object.assign(() => Symbol(), { observable, iterator: Symbol.iterator }),
    );
    const live = make().live((q) => q.collection("rows").count());
    vi.unstubAllGlobals();
    const found = (live as unknown as Record<symbol, () => unknown>)[observable]?.();
    expect(found).toBe(live);
    expect(live["@@observable"]()).toBe(live);
  });
});

describe("as a Svelte store", () => {
  /** What `$store` and `get` do, by Svelte's contract of stores. */
  function subscribeAsSvelte<T>(
    store: { subscribe(run: (value: T) => void): unknown },
    run: (v: T) => void,
  ): () => void {
    const left = store.subscribe(run) as (() => void) & { unsubscribe?: () => void };
    return left.unsubscribe ? () => left.unsubscribe!() : left;
  }

  test("tells its value at once where it has one, and later ones, until it is left by either way", async () => {
    const db = make();
    const live = db.live((q) => q.collection("rows").count());
    const seen: number[] = [];
    const leave = subscribeAsSvelte<number>(live, (v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0]);
    let got: number | undefined;
    subscribeAsSvelte<number>(live, (v) => (got = v))();
    expect(got).toBe(0);
    leave();
    const subscription = live.subscribe((v) => seen.push(v));
    await expect.poll(() => seen).toEqual([0, 0]);
    subscription();
    await db.collection("rows").put({ id: "a", v: 1 });
    expect(seen).toEqual([0, 0]);
  });
});

test("a subscriber that leaves, or comes, while the others are told", async () => {
  const db = make();
  const live = db.live((q) => q.collection("rows").count());
  const seen: string[] = [];
  const first = live.subscribe((v) => {
    seen.push(`first ${v}`);
    if (v === 1) {
      second.unsubscribe();
      live.subscribe((late) => seen.push(`late ${late}`));
    }
  });
  const second = live.subscribe((v) => seen.push(`second ${v}`));
  await expect.poll(() => seen).toEqual(["first 0", "second 0"]);
  await db.collection("rows").put({ id: "a", v: 1 });
  await expect.poll(() => seen.slice(2)).toEqual(["first 1", "late 1"]);
  first.unsubscribe();
});
