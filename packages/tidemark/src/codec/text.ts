/**
 * JSON text on a page where someone added `toJSON` to Object.prototype or Array.prototype, as libraries once did:
 * JSON.stringify would call it for every object.
 */
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
