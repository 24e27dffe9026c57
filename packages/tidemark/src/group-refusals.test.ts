import { expect, test } from "vitest";
import { collection, openDatabase } from "./index.ts";
import { createMemoryStorage, type Verdict } from "./storage/memory.ts";

interface Item {
  readonly id: string;
  readonly slug: string;
}
const items = collection<Item>()({ key: "id", indexes: { slug: { path: "slug", unique: true } } });

/** Two writes of one slug in one group, whose entry meets `verdict`. */
async function rivals(name: string, verdict: Verdict): Promise<[readonly string[], readonly Item[]]> {
  const medium = createMemoryStorage();
  const db = await openDatabase({ name, storage: medium, collections: { items } });
  medium.onStep = (step) => {
    const isAppend =
      step.kind === "commit" && Array.isArray(step.batch.writes) && step.batch.writes[0]?.store === "log";
    return isAppend ? verdict : "go";
  };
  const calls = [
    db.collection("items").put({ id: "a", slug: "s" }),
    db.collection("items").put({ id: "b", slug: "s" }),
  ];
  const ends = (await Promise.allSettled(calls)).map((e) =>
    e.status === "fulfilled" ? "done" : (e.reason as { code: string }).code,
  );
  medium.onStep = undefined;
  const all = await db.collection("items").all();
  await db.close();
  return [ends, all];
}

test("[MV3] who claims a unique key behind another of its group is refused, once that one is committed", async () => {
  const [ends, stored] = await rivals("rivals", "go");
  expect(ends).toEqual(["done", "CONSTRAINT"]);
  expect(stored).toEqual([{ id: "a", slug: "s" }]);
});

test("[MV1][MV3] nobody is refused for what another of its group failed to write", async () => {
  const [ends, stored] = await rivals("rivals of a full disk", "quota");
  expect(ends).toEqual(["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]);
  expect(stored).toEqual([]);
});
