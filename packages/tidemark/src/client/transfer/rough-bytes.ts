/** Deeper than anything that can be stored. Some browsers' databases hold what is nested deeper than a stack goes. */
const maxDepth = 1000;

/** About what a value takes in memory: good enough to bound a batch. */
export function roughBytes(value: unknown, seen: Set<object> = new Set(), depth = 0): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value !== "object" || value === null || seen.has(value) || depth > maxDepth) return 8;
  seen.add(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return 64 + value.byteLength;
  if (typeof Blob !== "undefined" && value instanceof Blob) return 64 + value.size;
  let bytes = 32;
  const of = (part: unknown): number => roughBytes(part, seen, depth + 1);
  if (value instanceof Map) for (const [k, v] of value) bytes += of(k) + of(v);
  else if (value instanceof Set) for (const v of value) bytes += of(v);
  else for (const field of Object.values(value)) bytes += 8 + of(field);
  return bytes;
}
