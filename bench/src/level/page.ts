/** What `level.mjs` calls in the page: one peer's part of one round, on a fresh database; milliseconds by workload. */
import { TidemarkLevel } from "@tidemark/level";
import { BrowserLevel } from "browser-level";

type Db = Pick<TidemarkLevel, "open" | "close" | "batch" | "put" | "get" | "getMany" | "iterator" | "keys">;
const peers = {
  "browser-level": (): Db => new BrowserLevel("bench") as unknown as Db, // says the same of another own format
  "@tidemark/level": (): Db => new TidemarkLevel("bench"),
};
export type PeerName = keyof typeof peers;

const entries = 50_000;
const batch = 1000;
/** After writing: what follows in the background is not to slow what is read. */
const settleMs = 3000;
const concurrent = 500;
const awaited = 200;

const keyOf = (i: number): string => `!entries!${String(i).padStart(8, "0")}`;
const valueOf = (i: number): string => JSON.stringify({ id: i, name: `Somebody ${i}`, text: "lorem ipsum ".repeat(8) });
/** Spread over all of them, the same each time. */
const some = (n: number): number[] => Array.from({ length: n }, (_, i) => (i * 7919) % entries);

const filling = async (db: Db): Promise<void> => {
  for (let i = 0; i < entries; i += batch) {
    await db.batch(
      Array.from({ length: batch }, (_, k) => ({ type: "put", key: keyOf(i + k), value: valueOf(i + k) })),
    );
  }
};
const workloads: Readonly<Record<string, (db: Db) => Promise<number | void>>> = {
  "batches of 1 000, 50 000 entries": filling,
  "iterator().all()": async (db) => (await db.iterator().all()).length,
  "for await over iterator()": async (db) => {
    let n = 0;
    for await (const [key] of db.iterator()) if (key !== "") n++;
    return n;
  },
  "keys().all()": async (db) => (await db.keys().all()).length,
  "iterator({ reverse: true }).all()": async (db) => (await db.iterator({ reverse: true }).all()).length,
  "getMany of 2 000": async (db) => {
    const found = await db.getMany(some(2000).map(keyOf));
    return found.filter((value) => value !== undefined).length * (entries / 2000);
  },
  "200 awaited gets": async (db) => {
    for (const i of some(awaited)) if ((await db.get(keyOf(i))) !== valueOf(i)) throw new Error("not what was put");
  },
  "200 iterators, the first entry of each": async (db) => {
    for (const i of some(awaited)) {
      const iterator = db.iterator({ gte: keyOf(i) });
      if ((await iterator.next())?.[0] !== keyOf(i)) throw new Error("not the first");
      await iterator.close();
    }
  },
  "200 seeks of one iterator": async (db) => {
    const iterator = db.iterator();
    for (const i of some(awaited)) {
      iterator.seek(keyOf(i));
      if ((await iterator.next())?.[0] !== keyOf(i)) throw new Error("not where it was sought");
    }
    await iterator.close();
  },
  "200 awaited puts": async (db) => {
    for (const i of some(awaited)) await db.put(keyOf(i), valueOf(i));
  },
  "500 concurrent puts": async (db) => {
    await Promise.all(some(concurrent).map((i) => db.put(keyOf(i), valueOf(i))));
  },
};

async function run(name: PeerName): Promise<Record<string, number>> {
  const db = peers[name]();
  await db.open();
  const figures: Record<string, number> = {};
  for (const [what, work] of Object.entries(workloads)) {
    const since = performance.now();
    const counted = await work(db);
    figures[what] = performance.now() - since;
    if (work === filling) await new Promise((resolve) => setTimeout(resolve, settleMs));
    if (counted !== undefined && counted !== entries) throw new Error(`${what} gave ${counted}`);
  }
  await db.close();
  return figures;
}

declare global {
  var level: { run: typeof run };
}
globalThis.level = { run };
