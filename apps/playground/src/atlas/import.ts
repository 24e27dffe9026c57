/** First visit: fills the database from the data files, once, whichever tab comes first. */
import { atlas, type ImportNote } from "../databases.ts";
import { loadAirports, loadFlights } from "./dataset.ts";

const dataset = "airports and flights";
/** Records to a commit: few commits, and progress is still seen. */
const chunkRecords = 2000;

export type ImportProgress =
  | { readonly step: "opening" | "waiting" | "loading" }
  | { readonly step: "writing"; readonly done: number; readonly total: number };

/** `isNew`: it was done by this call. */
export interface Imported {
  readonly note: ImportNote;
  readonly isNew: boolean;
}

export async function importOnce(report: (progress: ImportProgress) => void): Promise<Imported> {
  report({ step: "opening" });
  const there = await atlas.collection("imports").get(dataset);
  if (there) return { note: there, isNew: false };
  report({ step: "waiting" });
  return navigator.locks.request("tidemark-demo-import", async () => {
    const done = await atlas.collection("imports").get(dataset);
    return done ? { note: done, isNew: false } : { note: await importNow(report), isNew: true };
  });
}

async function importNow(report: (progress: ImportProgress) => void): Promise<ImportNote> {
  report({ step: "loading" });
  const [airports, flights] = await Promise.all([loadAirports(), loadFlights()]);
  const total = airports.length + flights.length;
  let done = 0;
  const startedAt = performance.now();
  // An import that was cut short is done again over what is there: the same keys, so nothing doubles.
  const write = async <T>(put: (part: readonly T[]) => Promise<unknown>, records: readonly T[]): Promise<void> => {
    for (let from = 0; from < records.length; from += chunkRecords) {
      const part = records.slice(from, from + chunkRecords);
      await put(part);
      done += part.length;
      report({ step: "writing", done, total });
    }
  };
  report({ step: "writing", done, total });
  await write((part) => atlas.collection("airports").putMany(part), airports);
  await write((part) => atlas.collection("flights").putMany(part), flights);
  const note = { dataset, records: total, importMs: performance.now() - startedAt };
  await atlas.collection("imports").put(note);
  return note;
}
