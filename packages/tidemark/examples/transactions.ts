import { collection, isTidemarkError, openDatabase, type Transaction } from "tidemark";

type Account = { id: string; cents: number };
type Booking = { id: string; from: string; to: string; cents: number };
const collections = {
  accounts: collection<Account>()({ key: "id" }),
  bookings: collection<Booking>()({ key: "id", autoId: true }),
};
const db = await openDatabase({ name: "bank", collections, durability: "strict" });
await db.collection("accounts").putMany([
  { id: "ada", cents: 500 },
  { id: "bob", cents: 0 },
]);

// All or nothing, over any collections. It may run again, so it has no side effects.
async function transfer(from: string, to: string, cents: number): Promise<void> {
  await db.transaction(async (tx) => {
    await take(tx, from, cents);
    await tx.collection("accounts").update(to, (account) => ({ ...account, cents: account.cents + cents }));
    await tx.collection("bookings").add({ from, to, cents });
  });
}

// A part of it takes `tx`. Throwing rolls everything back.
async function take(tx: Transaction<typeof collections>, from: string, cents: number): Promise<void> {
  const account = await tx.collection("accounts").get(from);
  if (!account || account.cents < cents) throw new Error(`${from} has not enough`);
  await tx.collection("accounts").put({ ...account, cents: account.cents - cents });
}

// Ten at once, from any number of tabs: each sees what those before it left.
const ended = await Promise.allSettled(Array.from({ length: 10 }, () => transfer("ada", "bob", 100)));
console.log(ended.filter(({ status }) => status === "fulfilled").length, "went through"); // 5

// One consistent state for everything that is read, whatever commits meanwhile.
const sum = await db.read(async (view) => {
  const accounts = await view.collection("accounts").all();
  return accounts.reduce((cents, account) => cents + account.cents, 0);
});
console.log(sum, await db.collection("bookings").count()); // 500, 5

try {
  await db.transaction(async () => db.transaction(async () => undefined));
} catch (e) {
  console.log(isTidemarkError(e, "TRANSACTION_INVALID") && e.details["why"]); // nested
}
