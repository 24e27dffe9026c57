import { collection, openDatabase } from "tidemark";

type Book = { id: string; title: string; author: string; year: number; tags: string[]; read?: boolean };
const db = await openDatabase({
  name: "library",
  collections: {
    books: collection<Book>()({
      key: "id",
      indexes: { title: "title", byAuthor: ["author", "year"], tags: { path: "tags", multi: true } },
    }),
  },
});
const books = db.collection("books");

await books.putMany([
  { id: "b1", title: "Kindred", author: "Butler", year: 1979, tags: ["novel", "time"] },
  { id: "b2", title: "Dawn", author: "Butler", year: 1987, tags: ["novel", "space"] },
  { id: "b3", title: "Solaris", author: "Lem", year: 1961, tags: ["novel", "space"] },
  { id: "b4", title: "Fiasco", author: "Lem", year: 1986, tags: ["space"] },
]);

// By an index, in its order. Refinements make a new query; nothing is read until it is asked for something.
const lem = books.where("byAuthor").startsWith(["Lem"]);
console.log(await lem.reverse().first(), await lem.count()); // "Fiasco", 2
console.log(await books.where("tags").anyOf(["space", "time"]).primaryKeys()); // b2, b3, b4, b1: each once

// Page by page, however many there are; the cursor is text that may be kept.
const first = await books.where("title").page(3);
const second = await books.where("title").page(3, first.cursor);
console.log(first.items.length, second.items.length, second.cursor); // 3, 1, undefined

// One at a time, all as of one state.
for await (const book of books.where().filter((b) => b.year < 1980)) console.log(book.title);

// Changing and deleting what is found is one transaction.
await books.where("byAuthor").startsWith(["Butler"]).update({ read: true });
await books.where("byAuthor").between(["Lem", 1980], ["Lem", 1990]).delete();

// Conditions on any fields: it takes the index that leaves the fewest to look at, and says which.
const found = books.find({ year: { $gte: 1960 }, tags: { $contains: "space" } }, { sort: "-year", limit: 10 });
console.log(
  (await found).map((b) => b.title),
  (await found.explain()).index,
); // Dawn, Solaris; "tags"
