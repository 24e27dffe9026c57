import { collection, openDatabase, RetentionPolicy } from "tidemark";

type Page = { id: string; text: string };
const db = await openDatabase({
  name: "wiki",
  collections: { pages: collection<Page>()({ key: "id", retention: RetentionPolicy.keepLatestN(5) }) },
});
const pages = db.collection("pages");

await pages.put({ id: "home", text: "First" });
await db.snapshots.create("before the rewrite");
await pages.put({ id: "home", text: "Second" });
await pages.delete("home");

for (const { seq, stamp, value } of await pages.history("home")) {
  console.log(seq, new Date(stamp / 1024), value?.text ?? "deleted"); // newest first
}

const before = await db.snapshots.view("before the rewrite");
console.log(await before.collection("pages").get("home")); // { id: "home", text: "First" }
before.release();
await db.snapshots.delete("before the rewrite");
