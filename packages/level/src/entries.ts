/**
 * What an entry is in Tidemark: a record of the one collection there is.
 *
 * Keys are to sort by their bytes. So a key is kept as a text whose units are these bytes (0 to 255): texts sort by units,
 * and unlike bytes they are plain JSON, which is read several times as fast. In ASCII that text is the key itself.
 * A value is kept as it came, a text or bytes, and made the other where that is asked for.
 */
import { collection, type CollectionDeclaration, type Database, type Query, type ReadableCollection } from "tidemark";

export interface Entry {
  readonly k: string;
  readonly v: Data;
}
/** What abstract-level hands over and takes, in one of these formats. */
export type Data = string | Uint8Array;
export type Format = "utf8" | "view";

// oxlint-disable-next-line typescript/no-generated-empty-object-type -- empty is what is meant
type NoIndexes = Record<never, never>;
export const collections: { readonly entries: CollectionDeclaration<Entry, "k", NoIndexes> } = {
  entries: collection<Entry>()({ key: "k" }),
};
export type Db = Database<typeof collections>;
export type Entries = ReadableCollection<typeof collections.entries>;
export type EntryQuery = Query<Entry, string, string>;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const ascii = /^\p{ASCII}*$/u;
/** So many arguments a function certainly takes. */
const unitsAtOnce = 4096;

/** As it is kept. */
export function storedKey(key: Data): string {
  if (typeof key === "string" && ascii.test(key)) return key;
  const bytes = bytesOf(key);
  let text = "";
  for (let i = 0; i < bytes.length; i += unitsAtOnce) {
    text += String.fromCharCode(...bytes.subarray(i, i + unitsAtOnce));
  }
  return text;
}

export function keyAs(format: Format, stored: string): Data {
  if (format === "utf8" && ascii.test(stored)) return stored;
  const bytes = new Uint8Array(stored.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = stored.charCodeAt(i);
  return valueAs(format, bytes);
}

/** As it is kept: not as an instance of a class of bytes, such as Node's Buffer. */
export function storedValue(value: Data): Data {
  if (typeof value === "string" || value.constructor === Uint8Array) return value;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

export function valueAs(format: Format, stored: Data): Data {
  return format === "view" ? bytesOf(stored) : typeof stored === "string" ? stored : decoder.decode(stored);
}

const bytesOf = (data: Data): Uint8Array => (typeof data === "string" ? encoder.encode(data) : data);
