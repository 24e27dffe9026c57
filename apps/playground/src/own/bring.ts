/** Imports a file in place of what was imported before. */
import { forget, own, type Source } from "./database.ts";
import { formatOf, type OwnFormat } from "./format-of.ts";
import { linesOf, recordsIn } from "./records-in.ts";

const headBytes = 4096;

/** JSON is read whole, for it is one document; the others as they come, however long they are. */
async function streamOf(file: File, format: OwnFormat): Promise<ReadableStream<Uint8Array>> {
  if (format !== "json") return file.stream();
  return linesOf(recordsIn(JSON.parse(await file.text())));
}

/** @throws what the import does, or an error that says what is wrong with the file */
export async function bring(file: File, told: (records: number) => void, signal: AbortSignal): Promise<Source> {
  const format = formatOf(file.name, await file.slice(0, headBytes).text());
  if (!format) throw new Error(`${file.name} looks like none of JSON, NDJSON and CSV.`);
  await forget();
  const startedAt = performance.now();
  let n = 0;
  const { records } = await own.import(await streamOf(file, format), {
    format: format === "csv" ? "csv" : "ndjson",
    collection: "records",
    map: (value) => ({ n: n++, value }),
    progress: (progress) => told(progress.records),
    signal,
  });
  const importMs = performance.now() - startedAt;
  const source: Source = { id: "source", name: file.name, format, bytes: file.size, records, importMs };
  await own.collection("sources").put(source);
  return source;
}
