/** A database with something to see, and the inspector on it. The address says which: `?records=…&busy=…&inspector=…`. */
import { collection, createDatabase, deleteDatabase } from "tidemark";
import "../src/index.ts";

interface Order {
  readonly id: string;
  readonly customer: { readonly name: string; readonly city: string };
  readonly placed: Date;
  readonly lines: readonly { readonly item: string; readonly count: number; readonly price: number }[];
  readonly status: "new" | "packed" | "sent";
  readonly note?: string;
}
interface Draft {
  readonly id: number;
  readonly text: string;
}

const asked = new URLSearchParams(location.search);
const count = Number(asked.get("records") ?? 3000);
const writesPerSecond = Number(asked.get("busy") ?? 0);
const name = "harbour-office";

const collections = {
  orders: collection<Order>()({ key: "id", indexes: { status: "status", placed: "placed", city: "customer.city" } }),
  drafts: collection<Draft>()({ key: "id" }),
  settings: collection<{ name: string; value: string }>()({ key: "name" }),
};

const cities = ["Bergen", "Cork", "Dunkerque", "Esbjerg", "Gdańsk", "Hull"];
const items = ["rope, 12 mm", "lantern", "chart of the Skagerrak", "oilskin", "tar, 5 l"];
const statuses = ["new", "packed", "sent"] as const;
const order = (n: number, status: Order["status"] = statuses[n % 3]!): Order => ({
  id: `order-${String(n).padStart(7, "0")}`,
  customer: { name: `Customer ${n % 977}`, city: cities[n % cities.length]! },
  placed: new Date(Date.UTC(2026, n % 12, 1 + (n % 28))),
  lines: Array.from({ length: 1 + (n % 3) }, (_, i) => ({
    item: items[(n + i) % 5]!,
    count: 1 + (n % 7),
    price: 12.5,
  })),
  status,
});

async function fill(): Promise<void> {
  await deleteDatabase(name, { worker: false });
  const db = createDatabase({ name, collections, memtableMaxBytes: 256 * 1024, gc: { mode: "manual" } });
  const orders = db.collection("orders");
  for (let from = 0; from < count; from += 1000) {
    await orders.putMany(Array.from({ length: Math.min(1000, count - from) }, (_, i) => order(from + i)));
  }
  await db.collection("settings").putMany([
    { name: "language", value: "en" },
    { name: "printer", value: "quay 3" },
  ]);
  const drafts = db.collection("drafts");
  for (let i = 0; i < 30; i++)
    await drafts.put({ id: 1, text: `A letter to the harbour master, as of keystroke ${i}. `.repeat(30) });
  await db.gc.run();
  await db.snapshots.create("before the stocktaking");
  for (let n = 0; n < Math.min(count, 1500); n++) if (n % 3 === 0) void orders.put(order(n, "packed"));
  await drafts.put({ id: 1, text: "Rewritten" });
  await db.checkpoint();
  await db.snapshots.create("monday");
  for (let n = 0; n < 400; n++) void orders.put({ ...order(n, "sent"), note: "Left with the night boat" });
  await orders.delete("order-0000007");
  await orders.get("order-0000001");
  await db.close();
}

if (asked.get("fill") !== "no") await fill();
const db = createDatabase({
  name,
  collections,
  memtableMaxBytes: 256 * 1024,
  gc: { mode: "manual" },
  log: () => undefined,
});
await db.open();
// With options of its own it is another tab to the first; its view holds the floor.
const other = createDatabase({ name, collections, memtableMaxBytes: 512 * 1024, log: () => undefined });
const view = await other.readView();
for (let n = 400; n < 480; n++) await db.collection("orders").put(order(n, "sent"));

db.collection("orders")
  .where("status")
  .equals("new")
  .limit(20)
  .subscribe(() => undefined);
db.live(async (q) => ({ open: await q.collection("orders").where("status").equals("packed").count() })).subscribe(
  () => undefined,
);
db.live((q) => q.collection("settings").get("language")).subscribe(() => undefined);

if (writesPerSecond > 0) {
  let n = 0;
  setInterval(() => void db.collection("orders").put(order(n++ % count, "packed")), 1000 / writesPerSecond);
}

if (asked.get("inspector") !== "no") {
  const inspector = document.createElement("tidemark-inspector");
  inspector.database = db;
  document.querySelector("main")!.append(inspector);
}
Object.assign(globalThis, { db, view });
document.body.dataset["ready"] = "yes";
