/** About what a value takes in memory: good enough to bound a batch. */
export function roughBytes(value: unknown, seen: Set<object> = new Set()): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value !== "object" || value === null || seen.has(value)) return 8;
  seen.add(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return 64 + value.byteLength;
  if (typeof Blob !== "undefined" && value instanceof Blob) return 64 + value.size;
  let bytes = 32;
  if (value instanceof Map) for (const [k, v] of value) bytes += roughBytes(k, seen) + roughBytes(v, seen);
  else if (value instanceof Set) for (const v of value) bytes += roughBytes(v, seen);
  else for (const field of Object.values(value)) bytes += 8 + roughBytes(field, seen);
  return bytes;
}
