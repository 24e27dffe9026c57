/**
 * The records of a JSON document: the elements of the array that it is; else of the longest array in its fields, as of
 * `features` in GeoJSON; else the document itself.
 */
export function recordsIn(document: unknown): readonly unknown[] {
  if (Array.isArray(document)) return document;
  if (typeof document !== "object" || document === null) return [document];
  const arrays = Object.values(document).filter((value): value is unknown[] => Array.isArray(value));
  const longest = arrays.toSorted((a, b) => b.length - a.length)[0];
  return longest && longest.length > 0 ? longest : [document];
}

/** As lines of JSON, a few hundred at a time. */
export function linesOf(records: readonly unknown[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const atOnce = 500;
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (next >= records.length) {
        controller.close();
        return;
      }
      const part = records.slice(next, (next += atOnce));
      controller.enqueue(encoder.encode(part.map((record) => `${JSON.stringify(record)}\n`).join("")));
    },
  });
}
