/** Records in by a stream of lines that is made as it is read, out by another, and through a salvage. */
import type { Database, Declarations } from "tidemark";
import { rowOf } from "./rows.ts";

interface Rows extends Pick<Database<Declarations>, "import" | "export" | "salvage"> {
  collection(name: "rows"): { count(): Promise<number> };
}

export interface Transferred {
  readonly ms: number;
  readonly records: number;
  readonly bytes: number;
}

const linesAtOnce = 500;

/** Lines of JSON of so many records. */
function linesOf(records: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let made = 0;
  return new ReadableStream(
    {
      pull: (controller) => {
        if (made >= records) return controller.close();
        const count = Math.min(linesAtOnce, records - made);
        const lines = Array.from({ length: count }, (_, i) => `${JSON.stringify(rowOf(made + i))}\n`);
        made += count;
        return controller.enqueue(encoder.encode(lines.join("")));
      },
    },
    { highWaterMark: 0 },
  );
}

export async function importLines(db: Rows, records: number): Promise<Transferred> {
  const since = performance.now();
  let bytes = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      bytes += chunk.length;
      controller.enqueue(chunk);
    },
  });
  const stream = linesOf(records).pipeThrough(counted);
  const report = await db.import(stream, { format: "ndjson", collection: "rows" });
  return { ms: performance.now() - since, records: report.records, bytes };
}

/** Reads all of an export, and keeps nothing of it. */
export async function exportAll(db: Rows, what: "tidemark" | "ndjson" | "salvage"): Promise<Transferred> {
  const since = performance.now();
  const stream = what === "salvage" ? db.salvage() : db.export({ format: what });
  let bytes = 0;
  for (const reader = stream.getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) break;
    bytes += value.length;
  }
  return { ms: performance.now() - since, records: await db.collection("rows").count(), bytes };
}
