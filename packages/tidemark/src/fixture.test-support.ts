/**
 * A stored database as a file: what lies in the four stores, byte for byte, and what has to be found in it. Each
 * storage format ever released leaves one behind, so every later build proves that it still opens it. All of it is
 * JSON, so a file needs no code of its time to be understood.
 */
import { type StoreKey, storeNames, type StoreName, type Storage, type Write } from "./storage/contract.ts";
import type { Declarations } from "./client/types.ts";

export interface Fixture {
  readonly name: string;
  readonly collections: Declarations;
  readonly expected: Readonly<Record<string, ExpectedCollection>>;
  readonly stores: Readonly<Record<StoreName, readonly (readonly [key: StoreKey, base64: string])[]>>;
}

export interface ExpectedCollection {
  /** In key order. */
  readonly records: readonly Described[];
  /** Per index its entries in order, ties by primary key: the index key, and the position of its record. */
  readonly indexes: Readonly<Record<string, readonly (readonly [key: Described, position: number])[]>>;
}

/** A value said in JSON: two values are alike exactly when the same is said of them. Long texts and bytes by hash. */
export type Described =
  | null
  | boolean
  | number
  | string
  | readonly Described[]
  | { readonly [field: string]: Described };

/** The field that marks what is no plain object; no record here has one of that name. */
const mark = "$";
const longest = 256;

export async function described(value: unknown): Promise<Described> {
  switch (typeof value) {
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : marked("number", { is: signed(value) });
    case "string":
      return value.length <= longest
        ? value
        : marked("text", { length: value.length, sha256: await hashOf(utf16(value)) });
    case "bigint":
      return marked("bigint", { is: String(value) });
    case "undefined":
      return marked("undefined", {});
    case "object":
      return value === null ? null : describedObject(value);
    default:
      throw new Error(`a ${typeof value} cannot be stored`);
  }
}

async function describedObject(value: object): Promise<Described> {
  if (Array.isArray(value)) return describedArray(value);
  if (value instanceof Date) return marked("Date", { ms: await described(value.getTime()) });
  if (value instanceof RegExp) return marked("RegExp", { source: value.source, flags: value.flags });
  if (value instanceof Map) return marked("Map", { entries: await describedArray([...value]) });
  if (value instanceof Set) return marked("Set", { members: await describedArray([...value]) });
  if (value instanceof ArrayBuffer) return marked("ArrayBuffer", await describedBytes(new Uint8Array(value)));
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return marked(Object.prototype.toString.call(value).slice(8, -1), await describedBytes(bytes));
  }
  if (value instanceof Blob) {
    const file = value instanceof File ? { name: value.name, lastModified: value.lastModified } : {};
    const bytes = new Uint8Array(await value.arrayBuffer());
    return marked(value instanceof File ? "File" : "Blob", {
      type: value.type,
      ...file,
      ...(await describedBytes(bytes)),
    });
  }
  if (Object.hasOwn(value, mark)) throw new Error(`a field is called ${mark}`);
  const fields = Object.entries(value).map(async ([name, of]) => [name, await described(of)] as const);
  return Object.fromEntries(await Promise.all(fields));
}

async function describedArray(values: readonly unknown[]): Promise<Described> {
  const there = Object.keys(values).length;
  if (there === values.length) return Promise.all(values.map((v) => described(v)));
  return marked("Array", { length: values.length, at: await described(Object.fromEntries(Object.entries(values))) });
}

const marked = (kind: string, about: Readonly<Record<string, Described>>): Described => ({ [mark]: kind, ...about });

const signed = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));

const describedBytes = async (bytes: Uint8Array): Promise<Record<string, Described>> =>
  bytes.length <= longest ? { hex: hexOf(bytes) } : { length: bytes.length, sha256: await hashOf(bytes) };

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

const utf16 = (text: string): Uint8Array => new Uint8Array(Uint16Array.from(text, (_, i) => text.charCodeAt(i)).buffer);

const hashOf = async (bytes: Uint8Array): Promise<string> =>
  hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice())));

/** Everything that is stored. */
export async function dump(storage: Storage): Promise<Fixture["stores"]> {
  const found = await storage.read(storeNames.map((store) => ({ kind: "range", store, range: {} })));
  const rows = found.map((entries) => entries.map(({ key, value }) => [key, base64Of(value)] as const));
  return Object.fromEntries(storeNames.map((store, i) => [store, rows[i]!])) as unknown as Fixture["stores"];
}

/** Stores it all in an empty database. */
export async function restore(stores: Fixture["stores"], into: Storage): Promise<void> {
  const writes = storeNames.flatMap((store) =>
    stores[store].map(([key, base64]): Write => ({ kind: "put", store, key, value: bytesOf(base64) })),
  );
  await into.commit({ durability: "strict", writes });
}

const base64Of = (bytes: Uint8Array): string => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
