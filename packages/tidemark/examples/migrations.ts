import { collection, openDatabase } from "tidemark";

type Old = { id: string; name: string; visits: number };
const before = await openDatabase({ name: "contacts", collections: { people: collection<Old>()({ key: "id" }) } });
await before.collection("people").put({ id: "a", name: "Ann Brown", visits: 0 });
await before.close();

type Person = { id: string; first: string; last: string; visits?: number };
const db = await openDatabase({
  name: "contacts",
  version: 3,
  collections: { people: collection<Person>()({ key: "id", indexes: { last: "last" } }) },
  migrations: {
    2: async (tx) => {
      const people = tx.collection("people"); // as it is stored, whatever is declared
      for (const { name, ...rest } of await people.all()) {
        const [first, last] = name.split(" ");
        await people.put({ ...rest, first, last });
      }
    },
    3: { collection: "people", each: ({ visits, ...person }) => (visits > 0 ? { ...person, visits } : person) },
  },
  seed: async (tx) => {
    await tx.collection("people").put({ id: "me", first: "Me", last: "Myself" }); // only where there was no database
  },
});
db.on("outdated", () => console.log("a newer program runs in another tab: reload"));

console.log(await db.collection("people").where("last").equals("Brown").toArray());
