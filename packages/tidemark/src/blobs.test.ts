import { afterEach, describe, expect, test, vi } from "vitest";
import { blob, expectSame, file, largestRead, notableSizes, patterned } from "./codec/blobs.test-support.ts";
import {
  type ChangeSet,
  collection,
  createDatabase,
  type Database,
  type DatabaseOptions,
  type Declarations,
  deleteDatabase,
  RetentionPolicy,
} from "./index.ts";
import { ownWorker } from "./own-worker.test-support.ts";
import { createMemoryStorage } from "./testing.ts";
import { streamOf, bytesOf } from "./transfer.test-support.ts";

vi.setConfig({ testTimeout: 60_000 });

interface Clip {
  id: string;
  n: number;
  at?: Date;
  bytes?: Uint8Array;
  value?: unknown;
}
const clips = collection<Clip>()({ key: "id", indexes: { n: "n" }, retention: RetentionPolicy.keepLatestN(5) });
const declarations = { clips };
type Db = Database<typeof declarations>;

let count = 0;
const made: { close(): Promise<void> }[] = [];
function make<const C extends Declarations>(
  options: Partial<DatabaseOptions<C>> & { readonly collections: C },
): Database<C> {
  const db = createDatabase<C>({
    name: `blobs${count++}`,
    storage: "memory",
    worker: false,
    ...ownWorker(made.length),
    ...options,
  });
  made.push(db);
  return db;
}
const fresh = (): Db => make({ collections: declarations });
afterEach(async () => {
  await Promise.all(made.splice(0).map((db) => db.close()));
});

/** Twice the same large blob, and what else there is. */
function clip(id: string, n: number, seed = n): Clip {
  const movie = file(1_500_000, seed);
  const value = { movie, same: [movie], thumb: blob(900, seed), none: new Blob([]), when: new Date(n) };
  return { id, n, at: new Date(n), bytes: patterned(40_000, seed), value };
}
const three = [clip("a", 1), clip("b", 2), clip("c", 3)];

describe("blobs of any size", () => {
  test("[MV6] come back as they were, whatever limit they lie at, alone and together, folded or not", async () => {
    const db = fresh();
    const c = db.collection("clips");
    const alone = notableSizes.map((size, i) => ({
      id: `s${10 + i}`,
      n: i,
      value: i % 2 === 0 ? blob(size, i) : file(size, i),
    }));
    const together = { id: "t", n: 99, value: new Map(notableSizes.map((size, i) => [size, [blob(size, i), i]])) };
    for (const one of alone) await c.put(one);
    await c.put(together);
    for (const state of ["as written", "folded"]) {
      for (const one of [...alone, together]) await expectSame([state, await c.get(one.id)], [state, one]);
      await expectSame(await c.all(), [...alone, together]);
      await db.checkpoint();
    }
    expect((await db.verify()).damage).toEqual([]);
  });

  test("[MV6][MV11] are read a piece at a time in either direction, and never whole", async () => {
    const db = fresh();
    const c = db.collection("clips");
    const film = blob(5_000_000);
    expect(await largestRead(() => c.put({ id: "film", n: 1, value: [film, blob(30_000)] }))).toBeLessThanOrEqual(
      256 * 1024,
    );
    const found: unknown[] = [];
    expect(await largestRead(async () => found.push((await c.get("film"))?.value))).toBe(0);
    await expectSame(found, [[film, blob(30_000)]]);
  });

  test("[MV6] are those of the call, whatever becomes of the record that holds them", async () => {
    const c = fresh().collection("clips");
    const [record, same] = [clip("a", 1), clip("a", 1)];
    const putting = c.put(record);
    Object.assign(record, { id: "z", n: 9, value: undefined });
    record.bytes?.fill(0);
    const next = c.put({ id: "a2", n: 2 });
    const reading = c.all();
    await Promise.all([putting, next]);
    await expectSame(await reading, [same, { id: "a2", n: 2 }]);
    expect(await c.where("n").equals(1).count()).toBe(1);
  });

  test("[MV6] and that a later call replaces are replaced, though they took longer", async () => {
    const c = fresh().collection("clips");
    const calls = [c.put(clip("a", 1)), c.put({ id: "a", n: 2 }), c.put(clip("a", 3)), c.update("a", { n: 4 })];
    await Promise.all(calls);
    await expectSame(await c.all(), [{ ...clip("a", 4, 3), n: 4, at: new Date(3), value: clip("a", 3).value }]);
  });
});

describe("records with large blobs are read", () => {
  test("[MV6] by key, by query, in views, as they are changed, and in history", async () => {
    const db = fresh();
    const c = db.collection("clips");
    await c.putMany(three);
    const view = await db.readView();
    await expectSame(await c.getMany(["c", "none", "a"]), [three[2], undefined, three[0]]);
    await expectSame(await c.where("n").above(1).reverse().toArray(), [three[2], three[1]]);
    await expectSame(await c.find({ n: { $lte: 2 } }), three.slice(0, 2));
    const streamed: Clip[] = [];
    for await (const one of c.where()) streamed.push(one);
    await expectSame(streamed, three);
    await expectSame(await c.update("b", { n: 20 }), { ...three[1], n: 20 });
    await c.delete("a");
    await expectSame(await view.collection("clips").all(), three);
    view.release();
    await expectSame(
      (await c.history("b")).map(({ value }) => value),
      [{ ...three[1], n: 20 }, three[1]],
    );
    const [gone, before] = await c.history("a");
    expect(gone?.deleted).toBe(true);
    await expectSame(before?.value, three[0]);
  });

  test("[MV6][TB3] by live queries, and by feeds of changes", async () => {
    const db = fresh();
    const c = db.collection("clips");
    const seen: (readonly Clip[])[] = [];
    const feed = db.changes({ consumer: "backup" })[Symbol.asyncIterator]();
    const sets = [feed.next()];
    const subscription = c.where().subscribe((rows) => seen.push(rows));
    await c.put(three[0]!);
    await expect.poll(() => seen.at(-1)?.length).toBe(1);
    await expectSame(seen.at(-1), [three[0]]);
    subscription.unsubscribe();
    await c.put({ ...three[1]!, id: "a" });
    sets.push(feed.next());
    const changes = (await Promise.all(sets)).flatMap(({ value }) =>
      (value as ChangeSet<typeof declarations>).changes.map(({ before, after }) => [before, after]),
    );
    await feed.return?.();
    await expectSame(changes, [
      [undefined, three[0]],
      [three[0], { ...three[1], id: "a" }],
    ]);
  });

  test("[MV3][MV6] in the transaction that writes them, and by nobody else before it commits", async () => {
    const db = fresh();
    const c = db.collection("clips");
    await db.transaction(async (tx) => {
      const own = tx.collection("clips");
      await own.addMany(three);
      await expectSame(await own.get("b"), three[1]);
      await expectSame(await own.where("n").equals(3).toArray(), [three[2]]);
      await own.put(clip("b", 7));
      await expectSame(await own.all(), [three[0], clip("b", 7), three[2]]);
      expect(await db.read((view) => view.collection("clips").count())).toBe(0);
    });
    await expectSame(await c.all(), [three[0], clip("b", 7), three[2]]);
    await expect(c.add(clip("b", 8))).rejects.toMatchObject({ code: "CONSTRAINT" });
    await expectSame(await c.get("b"), clip("b", 7));
  });

  test("[MV3][MV6] in a transaction, which holds up no call that is made meanwhile", async () => {
    const db = fresh();
    const c = db.collection("clips");
    const film = blob(2_000_000);
    const slice = film.slice.bind(film);
    let [isRead, goOn] = [false, (): void => undefined];
    const others = new Promise<void>((resolve) => (goOn = resolve));
    film.slice = (...range) => {
      const part = slice(...range);
      const reading = part.arrayBuffer.bind(part);
      part.arrayBuffer = () => {
        isRead = true;
        return others.then(reading);
      };
      return part;
    };
    const storing = db.transaction((tx) => tx.collection("clips").put({ id: "film", n: 1, value: film }));
    await expect.poll(() => isRead).toBe(true);
    await c.put({ id: "small", n: 2 });
    expect(await c.all()).toEqual([{ id: "small", n: 2 }]);
    goOn();
    await storing;
    await expectSame(await c.all(), [
      { id: "film", n: 1, value: blob(2_000_000) },
      { id: "small", n: 2 },
    ]);
  });

  test("[MV3][MV6] and written by transactions that conflict, each of which runs again", async () => {
    const db = fresh();
    const c = db.collection("clips");
    await c.put({ id: "a", n: 0, value: [] });
    const appended = Array.from({ length: 4 }, (_, i) => file(200_000 + i, i));
    let runs = 0;
    const append = (one: File): Promise<void> =>
      db.transaction(async (tx) => {
        runs++;
        const a = (await tx.collection("clips").get("a"))!;
        await tx.collection("clips").put({ ...a, n: a.n + 1, value: [...(a.value as File[]), one] });
      });
    await Promise.all(appended.map(append));
    expect(runs).toBeGreaterThan(appended.length);
    const { n, value } = (await c.get("a"))!;
    expect(n).toBe(4);
    await expectSame(
      (value as File[]).toSorted((a, b) => a.size - b.size),
      appended,
    );
  });

  test("[MV10] by migrations of either kind, and as an index is built", async () => {
    const name = `blobs${count++}`;
    const first = make({ name, collections: declarations });
    await first.collection("clips").putMany(three);
    await first.close();
    const grown = collection<Clip & { extra?: unknown }>()({ key: "id", indexes: { n: "n", at: "at" } });
    const second = make({
      name,
      version: 2,
      collections: { clips: grown },
      migrations: { 2: { collection: "clips", each: (old) => ({ ...(old as Clip), extra: (old as Clip).value }) } },
    });
    const moved = three.map((one) => ({ ...one, extra: one.value }));
    await expectSame(await second.collection("clips").where("at").above(new Date(1)).toArray(), moved.slice(1));
    await second.close();
    const third = make({
      name,
      version: 3,
      collections: { clips: collection<Clip>()({ key: "id", indexes: { n: "n", at: "at", bytes: "bytes" } }) },
      migrations: {
        3: async (tx) => {
          for (const old of (await tx.collection("clips").all()) as unknown as Clip[]) {
            await tx.collection("clips").put({ ...old, bytes: patterned(4, old.n), extra: undefined });
          }
        },
      },
    });
    const c = third.collection("clips");
    const expected = three.map((one) => ({ ...one, bytes: patterned(4, one.n), extra: undefined }));
    await expectSame(await c.where("bytes").equals(patterned(4, 2)).toArray(), [expected[1]]);
    await expectSame(await c.all(), expected);
    expect((await third.verify()).damage).toEqual([]);
    await third.close();
    await deleteDatabase(name, { storage: "memory", worker: false });
  });
});

describe("exports of large blobs", () => {
  test("[MV6] come back from the native format and from a salvage, which never have one whole", async () => {
    const db = fresh();
    const film = { id: "film", n: 0, bytes: patterned(1_200_000, 5), value: [blob(4_000_000), new Date(1)] };
    const all = [...three, film, ...notableSizes.map((size, i) => ({ id: `s${10 + i}`, n: i, value: blob(size, i) }))];
    await db.collection("clips").putMany(all);
    const expected = all.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    for (const stream of [() => db.export(), () => db.salvage()]) {
      const exported: Uint8Array[] = [];
      const exporting = largestRead(async () => exported.push(await bytesOf(stream())));
      expect(await exporting).toBeLessThanOrEqual(1024 * 1024); // of what is not larger
      const to = fresh();
      const report = { records: 0 };
      const importing = largestRead(async () =>
        Object.assign(report, await to.import(streamOf(exported[0]!, [100_000, 7, 65_536]))),
      );
      expect(await importing).toBeLessThanOrEqual(256 * 1024);
      expect(report.records).toBe(all.length);
      await expectSame(await to.collection("clips").all(), expected);
    }
  });

  test("go on where an import was interrupted, between records in pieces", async () => {
    const db = fresh();
    await db.collection("clips").putMany(three);
    const bytes = await bytesOf(db.export());
    const to = fresh();
    const cut = await to.import(streamOf(bytes.subarray(0, Math.floor(bytes.length / 2)))).catch((e: unknown) => e);
    expect(cut).toMatchObject({ code: "CORRUPT", details: { resumeAfter: 1 } });
    await expectSame(await to.collection("clips").all(), three.slice(0, 1));
    await to.import(streamOf(bytes), { resumeAfter: 1 });
    await expectSame(await to.collection("clips").all(), three);
  });

  test("[MV6] in lines of JSON have them, too", async () => {
    const db = fresh();
    await db.collection("clips").putMany(three);
    const to = fresh();
    await to.import(db.export({ format: "ndjson" }), { format: "ndjson" });
    await expectSame(await to.collection("clips").all(), three);
  });
});

test("[MV8] a damaged blob is told with the record it belongs to; the others stay readable, and are salvaged", async () => {
  const storage = createMemoryStorage();
  const name = `blobs${count++}`;
  const db = make({ name, collections: declarations, storage });
  const c = db.collection("clips");
  await c.putMany(three);
  const below = await storage.open(name);
  const [keys] = await below.read([{ kind: "keys", store: "blobs", range: { from: 0 } }]);
  storage.damage(name, "blobs", keys![Math.floor(keys!.length / 2)]!.key, 40_000); // of the second one
  const damaged = { code: "CORRUPT", details: { what: "value", collection: "clips", key: "b" } };
  await expect(c.all()).rejects.toMatchObject(damaged);
  await expect(c.get("b")).rejects.toMatchObject(damaged);
  await expectSame(await c.getMany(["a", "c"]), [three[0], three[2]]);
  await db.checkpoint();
  expect((await db.verify()).damage).toMatchObject([{ what: "block", why: expect.stringContaining("value") }]);
  const to = fresh();
  const { damage } = await to.import(db.salvage());
  expect(damage).toMatchObject([{ what: "value", from: { collection: "clips", key: "b" } }]);
  await expectSame(await to.collection("clips").all(), [three[0], three[2]]);
});

describe("a large blob that cannot be stored", () => {
  /** As a file that was changed on disk behind its first piece. */
  function changedFile(sizeBytes: number): File {
    const changed = file(sizeBytes);
    const slice = changed.slice.bind(changed);
    changed.slice = (from = 0, ...rest): Blob => {
      const part = slice(from, ...rest);
      if (from > 0) part.arrayBuffer = () => Promise.reject(new DOMException("changed", "NotReadableError"));
      return part;
    };
    return changed;
  }

  test("[MV6] since it cannot be read is refused with its place, and nothing of the call is written", async () => {
    const storage = createMemoryStorage();
    const db = make({ collections: declarations, storage });
    const c = db.collection("clips");
    await c.put({ id: "old", n: 1 });
    const before = storage.usedBytes;
    const refused = { code: "VALUE_UNSUPPORTED", details: { why: "unreadable" } };
    const { structuredClone } = globalThis;
    globalThis.structuredClone = (value) => value; // which would give it its bytes back
    try {
      const putting = c.putMany([
        { id: "good", n: 2 },
        clip("b", 3),
        { id: "bad", n: 4, value: [changedFile(900_000)] },
      ]);
      await expect(putting).rejects.toMatchObject(refused);
      await expect(putting).rejects.toMatchObject({ details: { path: "clips[2].value[0]" } });
      const inTransaction = db.transaction(async (tx) => {
        await tx.collection("clips").put(clip("c", 5));
        await tx.collection("clips").put({ id: "bad", n: 4, value: changedFile(900_000) });
      });
      await expect(inTransaction).rejects.toMatchObject(refused);
      const small = changedFile(10);
      small.arrayBuffer = () => Promise.reject(new DOMException("changed", "NotReadableError"));
      await expect(c.put({ id: "bad", n: 4, value: small })).rejects.toMatchObject(refused);
    } finally {
      globalThis.structuredClone = structuredClone;
    }
    expect(await c.all()).toEqual([{ id: "old", n: 1 }]);
    expect(storage.usedBytes - before).toBeLessThan(4096);
    await c.put(three[0]!);
    await expectSame(await c.get("a"), three[0]);
  });

  test("[MV9][MV11] since the disk is full leaves nothing behind", async () => {
    const storage = createMemoryStorage();
    const db = make({ collections: declarations, storage });
    const c = db.collection("clips");
    await c.put(three[0]!);
    const before = storage.usedBytes;
    storage.quotaBytes = before + 3_000_000;
    await expect(c.put({ id: "film", n: 2, value: blob(20_000_000) })).rejects.toMatchObject({
      code: "QUOTA_EXCEEDED",
    });
    const inTransaction = db.transaction(async (tx) => {
      await tx.collection("clips").put({ id: "first", n: 2, value: blob(1_000_000) });
      await tx.collection("clips").put({ id: "film", n: 2, value: blob(20_000_000) });
    });
    await expect(inTransaction).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
    await expect.poll(() => storage.usedBytes - before).toBeLessThan(4096);
    await expectSame(await c.all(), [three[0]]);
    expect((await db.verify()).damage).toEqual([]);
  });
});
