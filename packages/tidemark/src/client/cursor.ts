/** Where a query in pages goes on: text that an application may keep, or put into an address. */
import { type ByteKey, byteKey } from "../base/brand.ts";
import { invalid } from "../protocol/options.ts";

export interface Cursor {
  /** Of the last entry of the page before, without its table. */
  readonly key: ByteKey;
  /** How many records the query's limit leaves. */
  readonly left: number | undefined;
}

/** Direction, what the limit leaves, and the key's bytes in base64url. */
const pattern = /^([ad])(\d*)\.([\w-]+)$/;

export function cursorOf({ key, left }: Cursor, reverse: boolean): string {
  const text = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${reverse ? "d" : "a"}${left ?? ""}.${text}`;
}

/** @throws OPTIONS_INVALID for what `cursorOf` did not make in this direction. */
export function readCursor(cursor: string, reverse: boolean): Cursor {
  const [, direction, left, text] = (typeof cursor === "string" && pattern.exec(cursor)) || [];
  if (text === undefined || direction !== (reverse ? "d" : "a") || text.length % 4 === 1) throw notACursor(cursor);
  const key = byteKey(atob(text.replaceAll("-", "+").replaceAll("_", "/")));
  const n = left === "" ? undefined : Number(left);
  if (n !== undefined && !Number.isSafeInteger(n)) throw notACursor(cursor);
  return { key, left: n };
}

const notACursor = (cursor: unknown): Error => invalid("cursor", cursor, "what page() of the same query answered");
