/**
 * Key paths: where in a record a key is found. Dots descend, as in `author.name`; a list of paths makes a compound
 * key, an array.
 */
import type { ByteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { encodeIndexKey, encodeKey, joinKeys } from "./key.ts";

export type KeyPath = string | readonly string[];

export interface IndexPath {
  readonly path: KeyPath;
  /** One entry for each element of the array found there. Not with compound paths. */
  readonly multi?: boolean;
}

const none: readonly ByteKey[] = [];

/** What `path` leads to through own properties; undefined when a step is missing. */
export function readPath(value: unknown, path: string): unknown {
  let found = value;
  for (let from = 0; from <= path.length;) {
    const dot = path.indexOf(".", from);
    const to = dot < 0 ? path.length : dot;
    const name = dot < 0 && from === 0 ? path : path.slice(from, to);
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
    from = to + 1;
  }
  return found;
}

/** The key that `path` leads to, as the record has it, valid or not. */
export function readKey(record: unknown, path: KeyPath): unknown {
  return typeof path === "string" ? readPath(record, path) : path.map((part) => readPath(record, part));
}

/**
 * The primary key of a record.
 * @param where names the record in errors, usually its collection.
 * @throws TidemarkError KEY_INVALID when a part is missing or is not a key.
 */
export function extractKey(record: unknown, path: KeyPath, where: string): ByteKey {
  if (typeof path === "string") return keyAt(record, path, where);
  return joinKeys(
    path.map((part) => keyAt(record, part, where)),
    where,
  );
}

function keyAt(record: unknown, path: string, where: string): ByteKey {
  const value = readPath(record, path);
  if (value === undefined) {
    throw new TidemarkError("KEY_INVALID", `${where}.${path} is missing, but is the record's key`, { where, path });
  }
  return encodeKey(value, `${where}.${path}`);
}

/**
 * The keys under which an index lists a record, ascending and without repetition. None where a path leads to nothing
 * or undefined; with `multi`, undefined elements are passed over, and what is not an array counts as its only element.
 * @throws TidemarkError KEY_INVALID when a value found is not an index key.
 */
export function extractIndexKeys(record: unknown, index: IndexPath, where: string): readonly ByteKey[] {
  const { path } = index;
  if (typeof path !== "string") return compoundKeys(record, path, where);
  const value = readPath(record, path);
  if (value === undefined) return none;
  if (index.multi === true && Array.isArray(value)) return elementKeys(value, `${where}.${path}`);
  return [encodeIndexKey(value, `${where}.${path}`)];
}

function compoundKeys(record: unknown, path: readonly string[], where: string): readonly ByteKey[] {
  const parts: ByteKey[] = [];
  for (const part of path) {
    const value = readPath(record, part);
    if (value === undefined) return none;
    parts.push(encodeIndexKey(value, `${where}.${part}`));
  }
  return [joinKeys(parts, where)];
}

function elementKeys(elements: readonly unknown[], where: string): readonly ByteKey[] {
  const keys = new Set<ByteKey>();
  for (const [i, element] of elements.entries()) {
    if (element !== undefined) keys.add(encodeIndexKey(element, `${where}[${i}]`));
  }
  // Without a comparison function the order is that of UTF-16 units, which are the bytes.
  return [...keys].toSorted();
}

/**
 * Checks a declared path.
 * @throws TidemarkError OPTIONS_INVALID when it is empty or malformed, or compound and `multi`.
 */
export function checkPath(path: unknown, where: string, multi = false): asserts path is KeyPath {
  if (!Array.isArray(path)) return checkStep(path, where);
  if (path.length === 0) refuse("is an empty list of paths", path, where);
  if (multi) refuse("is compound, which `multi` does not go with", path, where);
  for (const part of path) checkStep(part, where);
}

function checkStep(path: unknown, where: string): asserts path is string {
  if (typeof path !== "string") refuse("is neither a string nor a list of strings", path, where);
  else if (path === "") refuse("is empty", path, where);
  else if (path.split(".").includes("")) refuse("has an empty name between its dots", path, where);
}

function refuse(why: string, path: unknown, where: string): never {
  const shown =
    typeof path === "string" ? JSON.stringify(path) : Array.isArray(path) ? "list" : `of type ${typeof path}`;
  throw new TidemarkError("OPTIONS_INVALID", `The key path ${shown} of ${where} ${why}`, { where, path: shown });
}
