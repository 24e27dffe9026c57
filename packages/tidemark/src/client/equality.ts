/** Deep equality of values that can be stored, and a hash that agrees with it. */

type Fields = Readonly<Record<string, unknown>>;

/** Deeper than this nothing is looked at: what lies there, or refers to itself, counts as different. */
export const maxDepth = 200;

/** What literals and JSON make, and nothing else: not instances of classes. */
export function isPlain(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Whether two values hold the same. Tells -0 from 0, a hole from undefined and undefined from nothing, not the order of
 * fields. Entries of maps and sets are compared in their order. Blobs and instances of classes equal only themselves.
 */
export function isEqual(a: unknown, b: unknown, depth = 0): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || depth > maxDepth) return false;
  if (Array.isArray(a)) return Array.isArray(b) && areEqualLists(a, b, depth + 1);
  if (isPlain(a))
    return Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && areEqualFields(a, b as Fields, depth + 1);
  return areEqualBuiltIns(a, b, depth + 1);
}

function areEqualLists(a: readonly unknown[], b: readonly unknown[], depth: number): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!isEqualAt(a, i, b, i, depth)) return false;
  return true;
}

/** Whether two places of lists hold the same, or both nothing. */
export function isEqualAt(a: readonly unknown[], i: number, b: readonly unknown[], j: number, depth = 0): boolean {
  return isEqual(a[i], b[j], depth) && (a[i] !== undefined || i in a === j in b);
}

function areEqualFields(a: Fields, b: Fields, depth: number): boolean {
  const names = Object.keys(a);
  const others = Object.keys(b);
  if (names.length !== others.length) return false;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name !== others[i] && !Object.hasOwn(b, name)) return false;
    if (!isEqual(a[name], b[name], depth)) return false;
  }
  return true;
}

function areEqualBuiltIns(a: object, b: object, depth: number): boolean {
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof Map || a instanceof Set) {
    return areEqualLists([...a], [...(b as Iterable<unknown>)], depth);
  }
  if (a instanceof ArrayBuffer) return areEqualBytes(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
  if (ArrayBuffer.isView(a)) return areEqualBytes(bytesOf(a), bytesOf(b as ArrayBufferView));
  if (a instanceof RegExp && b instanceof RegExp) return a.source === b.source && a.flags === b.flags;
  return false;
}

function areEqualBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** So much of either end of a text counts. */
const ends = 24;

/** Equal values have equal hashes: whole numbers of 32 bits. Built-ins that are no dates hash by their kind alone. */
export function hashOf(value: unknown, depth = 0): number {
  switch (typeof value) {
    case "string":
      return hashText(value);
    case "number":
      return Math.imul(value | 0, 0x9e3779b1) ^ Math.imul((value * 0x10000) | 0, 0x85ebca6b);
    case "boolean":
      return value ? 0x5bd1e995 : 0x27d4eb2f;
    case "object":
      return value === null || depth > maxDepth ? 1 : hashObject(value, depth + 1);
    default:
      return 2;
  }
}

function hashText(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) {
    if (i === ends && text.length > 2 * ends) i = text.length - ends;
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash;
}

function hashObject(value: object, depth: number): number {
  if (Array.isArray(value)) {
    return value.reduce((hash: number, v: unknown) => Math.imul(hash, 31) + hashOf(v, depth), value.length) | 0;
  }
  if (value instanceof Date) return hashOf(value.getTime());
  if (!isPlain(value)) return 3;
  let hash = 4;
  // A sum, since the order of fields does not count.
  for (const name of Object.keys(value)) {
    hash = (hash + Math.imul(hashText(name), hashOf(value[name], depth) | 1)) | 0;
  }
  return hash;
}
