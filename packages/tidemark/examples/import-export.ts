import { collection, openDatabase } from "tidemark";

type Plant = { id: string; name: string; planted?: Date; photo?: Uint8Array; height?: number };
const plants = collection<Plant>()({ key: "id", indexes: { name: "name" } });
const db = await openDatabase({ name: "garden", collections: { plants } });
await db.collection("plants").putMany([
  { id: "p1", name: "Fern", planted: new Date("2024-05-01"), photo: Uint8Array.of(1, 2, 3) },
  { id: "p2", name: "Fig", height: 120 },
]);

// A backup: every value as it is, each part with a checksum. A stream is made as it is read, whatever there is.
const backup = await new Response(db.export()).blob(); // or pipe it to a file: db.export().pipeTo(writable)

// Restoring it, into another database here. What is there already is replaced, kept ("skip"), or ends it ("fail").
const copy = await openDatabase({ name: "garden copy", collections: { plants } });
const { records } = await copy.import(backup.stream(), { onConflict: "skip" });
console.log(records, await copy.collection("plants").get("p1")); // 2, the Fern with its date and photo

// Lines of JSON for other programs; what JSON does not hold is tagged, and comes back as it was.
console.log(await new Response(db.export({ format: "ndjson", collection: "plants" })).text());

// A table for a spreadsheet, and one from it: its values are text, which `map` makes into records.
console.log(await new Response(db.export({ format: "csv", collection: "plants", columns: ["id", "height"] })).text());
const table = new Blob(["id,name,height\r\np3,Ivy,30\r\np4,,\r\n"]);
await copy.import(table.stream(), {
  format: "csv",
  collection: "plants",
  map: (row) => {
    const { id, name, height } = row as Record<string, string>;
    return name === "" ? undefined : { id, name, height: Number(height) }; // undefined: not this one
  },
});
console.log(await copy.collection("plants").count()); // 3

// An import that is broken off says how far it came, and goes on there with the same stream.
const stop = new AbortController();
const lines = Array.from({ length: 2000 }, (_, i) => `{"id":"n${i}","name":"Nettle"}\n`);
const options = { format: "ndjson", collection: "plants", batchBytes: 4096 } as const;
try {
  await copy.import(new Blob(lines).stream(), { ...options, signal: stop.signal, progress: () => stop.abort() });
} catch (e) {
  const { resumeAfter } = (e as { details: { resumeAfter: number } }).details;
  const rest = await copy.import(new Blob(lines).stream(), { ...options, resumeAfter });
  console.log(rest.records === 2000 - resumeAfter, rest.position); // true, 2000
}

// Of a damaged database, all that is intact; the import says what was not.
const rescued = await openDatabase({ name: "garden rescued", collections: { plants } });
const { damage } = await rescued.import(db.salvage());
console.log(damage); // []
await Promise.all([db.close(), copy.close(), rescued.close()]);
