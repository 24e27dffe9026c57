import { deleteDatabase } from "tidemark";
import { expect, test } from "vitest";

test("the worker is given where the bundler does not find it, by the name that the package exports", async () => {
  const { db } = await import("./recipes/bundlers.ts");
  await db.collection("notes").put({ id: "a", text: "by a worker of our own making" });
  expect(await db.collection("notes").count()).toBe(1);
  expect(typeof (await db.storage.persist())).toBe("boolean");
  await db.close();
  await deleteDatabase("bundled");
});
