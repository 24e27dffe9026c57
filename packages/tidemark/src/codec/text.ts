/**
 * Two ways in which JSON text is not to be trusted.
 *
 * Keys with escapes: V8 of many versions (Node 24 and 26 among them; nodejs/node#63785) may read such a key as another
 * one, namely when any JSON.parse before, by whomever, met a key with a backslash at the same place. A field is then
 * renamed, or overwrites its neighbour, silently. Keys without escapes and strings as values are safe, so no text of
 * ours has a key that JSON escapes.
 *
 * `toJSON`: on a page where someone added it to Object.prototype or Array.prototype, as libraries once did,
 * JSON.stringify calls it for every object.
 */

/** Whether JSON escapes something in the name. Surrogates count even where they are paired and stay as they are. */
export function hasEscapes(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c || (unit >= 0xd800 && unit < 0xe000)) return true;
  }
  return false;
}

/** Whether a value that is plain JSON has a key, at any depth, that JSON escapes. */
export function hasEscapedNames(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(hasEscapedNames);
  return Object.entries(value).some(([name, field]) => hasEscapes(name) || hasEscapedNames(field));
}

export function toJsonPatched(): boolean {
  return "toJSON" in Object.prototype || "toJSON" in Array.prototype;
}

/** What JSON.stringify gives for plain JSON values where nothing is patched. */
export function stringifyUnpatched(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(stringifyUnpatched).join(",")}]`;
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${stringifyUnpatched(field)}`);
  return `{${fields.join(",")}}`;
}
