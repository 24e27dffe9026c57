import { readFileSync } from "node:fs";
import { Dexie, liveQuery } from "dexie";
import { collection, isTidemarkError, openDatabase } from "tidemark";
import { expect } from "vitest";
import { another, declaration, type Friend, friends, newName, refusalOf, type Row } from "./world.ts";

const later = (): Promise<string> => new Promise((resolve) => void setTimeout(() => resolve("came"), 5));

export const transactionsAndMore: readonly Row[] = [
  [
    '`db.transaction("rw", db.a, db.b, async () => …)`',
    '`db.transaction(async (tx) => …)`, with `tx.collection("a")` inside',
    async ({ dexie, db, theirs, ours }) => {
      await dexie.transaction("rw", theirs, dexie.table("notes"), async () => {
        await theirs.delete("a");
        await dexie.table("notes").put({ id: "n", text: "gone" });
      });
      await db.transaction(async (tx) => {
        await tx.collection("friends").delete("a");
        await tx.collection("notes").put({ id: "n", text: "gone" });
      });
      expect(await ours.all()).toEqual(await theirs.toArray());
      expect(await db.collection("notes").all()).toEqual(await dexie.table("notes").toArray());
    },
  ],
  [
    '`db.transaction("r", …)`',
    "`db.read(async (view) => …)`",
    async ({ dexie, db, theirs, ours }) => {
      const there = await dexie.transaction("r", theirs, async () => [await theirs.count(), await theirs.get("a")]);
      const here = await db.read(async (view) => {
        const before = await view.collection("friends").count();
        await ours.add(another); // of no effect on the view
        expect(await view.collection("friends").count()).toBe(before);
        return [before, await view.collection("friends").get("a")];
      });
      expect(here).toEqual(there);
    },
  ],
  [
    '`"rw!"` `"rw?"`, nested transactions',
    "pass `tx` on to the function that does a part of it",
    async ({ dexie, db, theirs, ours }) => {
      const addThere = (): Promise<unknown> => dexie.transaction("rw", theirs, async () => theirs.add(another));
      await dexie.transaction("rw", theirs, async () => {
        await addThere();
        await theirs.delete("a");
      });
      type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
      const addHere = (tx: Tx): Promise<unknown> => tx.collection("friends").add(another);
      await db.transaction(async (tx) => {
        await addHere(tx);
        await tx.collection("friends").delete("a");
      });
      expect(await ours.all()).toEqual(await theirs.toArray());
    },
  ],
  [
    "`Dexie.waitFor(promise)`",
    "`await promise`",
    async ({ dexie, db, theirs, ours }) => {
      await dexie.transaction("rw", theirs, async () => {
        const name = await Dexie.waitFor(later());
        await theirs.update("a", { name });
      });
      await db.transaction(async (tx) => {
        const name = await later();
        await tx.collection("friends").update("a", { name });
      });
      expect(await ours.get("a")).toEqual(await theirs.get("a"));
      expect((await ours.get("a"))?.name).toBe("came");
    },
  ],
  [
    "`tx.abort()`",
    "throw",
    async ({ dexie, db, theirs, ours }) => {
      const aborted = dexie.transaction("rw", theirs, async (tx) => {
        await theirs.clear();
        tx.abort();
      });
      expect(await refusalOf(aborted)).toBeInstanceOf(Error); // AbortError; on fake-indexeddb another one
      const thrown = new Error("changed my mind");
      const rolledBack = db.transaction(async (tx) => {
        await tx.collection("friends").clear();
        throw thrown;
      });
      expect(await refusalOf(rolledBack)).toBe(thrown);
      expect(await theirs.toArray()).toEqual(friends);
      expect(await ours.all()).toEqual(friends);
    },
  ],
  [
    "`liveQuery(() => …)`",
    '`db.live((q) => q.collection("a").…)`; it runs again only if a commit touched what it read',
    async ({ db, dexie, theirs, ours }) => {
      const [there, here]: [string[][], string[][]] = [[], []];
      const idsOf = (found: readonly Friend[]): string[] => found.map(({ id }) => id);
      const theirLive = liveQuery(() => theirs.where("age").below(10).toArray()).subscribe((found) =>
        there.push(idsOf(found)),
      );
      const ourLive = db
        .live((q) => q.collection("friends").where("age").below(10).toArray())
        .subscribe((found) => here.push(idsOf(found)));
      await expect.poll(() => [there.length, here.length]).toEqual([1, 1]);
      await dexie.table("notes").put({ id: "n", text: "nothing to do with it" });
      await db.collection("notes").put({ id: "n", text: "nothing to do with it" });
      await theirs.update("b", { age: 4 });
      await ours.update("b", { age: 4 });
      await expect
        .poll(() => [there.at(-1), here.at(-1)])
        .toEqual([
          ["a", "c", "b"],
          ["a", "c", "b"],
        ]);
      expect(here).toHaveLength(2);
      theirLive.unsubscribe();
      ourLive.unsubscribe();
    },
  ],
  [
    "`useLiveQuery(() => …, deps)`",
    "`useLiveQuery` of `@tidemark/react`",
    async () => {
      // It runs in that package's own tests, and in the guide to React.
      const of = (path: string): string => readFileSync(new URL(`../../../react/${path}`, import.meta.url), "utf8");
      expect(of("src/index.ts")).toMatch(/export \{[^}]*\buseLiveQuery\b/);
      expect(of("examples/notebook.tsx")).toMatch(/\buseLiveQuery\(/);
    },
  ],
  [
    '`table.hook("creating")` …, `db.on("changes")`',
    "`db.changes()`",
    async ({ db, theirs, ours }) => {
      const created: unknown[] = [];
      theirs.hook("creating", (_, record) => void created.push(record));
      const { seq: after } = await db.readView();
      await theirs.add(another);
      await ours.add(another);
      for await (const { changes } of db.changes({ after, collections: ["friends"] })) {
        expect(changes).toEqual([{ collection: "friends", key: "g", after: another }]);
        expect(changes.map((change) => change.after)).toEqual(created);
        break;
      }
    },
  ],
  [
    "`Dexie.ConstraintError` …",
    '`isTidemarkError(e, "CONSTRAINT")`; [all codes](errors.md)',
    async ({ theirs, ours }) => {
      expect(await refusalOf(theirs.add(friends[0]!))).toBeInstanceOf(Dexie.ConstraintError);
      expect(isTidemarkError(await refusalOf(ours.add(friends[0]!)), "CONSTRAINT")).toBe(true);
    },
  ],
  [
    '`db.on("blocked")` · `db.on("versionchange")`',
    "there is nothing to wait for",
    async () => {
      const name = newName();
      const open = new Dexie(name);
      open.version(1).stores({ friends: "id" });
      let isAsked = false;
      open.on("versionchange", () => {
        isAsked = true;
        open.close();
      });
      await open.open();
      const newer = new Dexie(name);
      newer.version(2).stores({ friends: "id, age" });
      await newer.open();
      expect([isAsked, open.isOpen()]).toEqual([true, false]);
      newer.close();

      const old = await openDatabase({ name, collections: { friends: collection<Friend>()({ key: "id" }) } });
      const now = await openDatabase({ name, collections: { friends: declaration } });
      await old.collection("friends").add(another); // goes on, and keeps the new indexes too
      const view = await now.readView({ fresh: true });
      expect(await view.collection("friends").where("age").equals(41).toArray()).toEqual([another]);
      view.release();
      await old.close();
      await now.close();
    },
  ],
  [
    "dexie-export-import",
    "`db.export()` · `db.import(stream)`",
    async ({ db, ours }) => {
      const collections = { friends: declaration };
      const copy = await openDatabase({ name: newName(), collections, storage: "memory", worker: false });
      const stream = db.export({ collections: ["friends"] });
      await copy.import(stream);
      expect(await copy.collection("friends").all()).toEqual(await ours.all());
    },
  ],
];
