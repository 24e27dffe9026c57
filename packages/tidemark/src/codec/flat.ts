/**
 * The short way for nearly all records: those that JSON holds as they are, and those whose only specials are Dates and
 * undefined among their own fields. One walk, one stringify. What it gives is what `pack` would give, to the byte.
 */
import { maxNesting } from "./pack.ts";
import { hasEscapedNames } from "./text.ts";

export interface Flat {
  readonly text: string;
  /** Whether the text is `[skeleton, patches]` instead of the value itself. */
  readonly isRich: boolean;
}

const dateTime = Date.prototype.getTime;

/** Field names as JSON: a program has few, and they come again with every record. */
const quotedNames = new Map<string, string>();
const maxQuotedNames = 1000;

function quoted(name: string): string {
  const known = quotedNames.get(name);
  if (known !== undefined) return known;
  const json = JSON.stringify(name);
  if (quotedNames.size < maxQuotedNames) quotedNames.set(name, json);
  return json;
}

/** `undefined`: take the long way. `toJSON` must not be patched. */
export function flatten(value: unknown): Flat | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return isJson(value, 0) ? unescaped(value, "") : undefined;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  let skeleton: object = value;
  let patches = "";
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name];
    if (isJson(field, 1)) continue;
    const patch = patchOf(field, name);
    if (patch === undefined || name === "__proto__" || !Object.hasOwn(value, name)) return undefined;
    if (skeleton === value) skeleton = { ...value };
    (skeleton as Record<string, unknown>)[name] = 0;
    patches = patches === "" ? patch : `${patches},${patch}`;
  }
  return unescaped(skeleton, patches);
}

function patchOf(field: unknown, name: string): string | undefined {
  if (field === undefined) return `["u",${quoted(name)}]`;
  if (Object.getPrototypeOf(field) !== Date.prototype) return undefined;
  try {
    const ms = dateTime.call(field as Date);
    return `["d",${Number.isNaN(ms) ? "null" : ms},${quoted(name)}]`;
  } catch {
    return undefined; // only looks like a Date
  }
}

/** Text without a backslash has no key with escapes: a search much faster than a look at each key. */
function unescaped(skeleton: unknown, patches: string): Flat | undefined {
  const json = JSON.stringify(skeleton);
  if (json.includes("\\") && hasEscapedNames(skeleton)) return undefined;
  return patches === "" ? { text: json, isRich: false } : { text: `[${json},[${patches}]]`, isRich: true };
}

/** Whether JSON holds all of the value; `hasEscapedNames` aside. May err towards false; `pack` then finds out. */
function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    case "object":
      return value === null || (depth < maxNesting && isJsonContainer(value, depth + 1));
    default:
      return false;
  }
}

function isJsonContainer(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype) return false;
    // A hole reads as undefined, which is not JSON either.
    for (let i = 0; i < value.length; i++) if (!isJson(value[i], depth)) return false;
    return Object.keys(value).length === value.length;
  }
  if (prototype !== Object.prototype && prototype !== null) return false;
  // for-in is twice as fast as Object.keys. Inherited names, if any, can only make the answer false.
  for (const name in value) if (!isJson((value as Record<string, unknown>)[name], depth)) return false;
  return true;
}
