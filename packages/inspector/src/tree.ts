/** A stored value as a tree to read: kinds, one-line previews, and children a part at a time. */
import { bytesOf } from "./versions.ts";

export interface Child {
  readonly name: string;
  readonly value: unknown;
}

type Kind = "nothing" | "text" | "number" | "flag" | "time" | "bytes" | "list" | "fields" | "other";

export function kindOfValue(value: unknown): Kind {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return "text";
  if (typeof value === "number" || typeof value === "bigint") return "number";
  if (typeof value === "boolean") return "flag";
  if (value instanceof Date) return "time";
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value) || isBlob(value)) return "bytes";
  if (Array.isArray(value) || value instanceof Set) return "list";
  if (value instanceof Map || (typeof value === "object" && !(value instanceof RegExp) && !(value instanceof Error))) {
    return "fields";
  }
  return "other";
}

const isBlob = (value: unknown): value is Blob => typeof Blob === "function" && value instanceof Blob;

/** How many children there are; 0 for what has none. */
export function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Set || value instanceof Map) return value.size;
  return kindOfValue(value) === "fields" ? Object.keys(value as object).length : 0;
}

/** At most `most` children from position `from` on. */
export function childrenOf(value: unknown, from: number, most: number): Child[] {
  const part = <T>(list: Iterable<T>): T[] => [...list].slice(from, from + most);
  if (Array.isArray(value)) {
    return value.slice(from, from + most).map((v: unknown, i) => ({ name: String(from + i), value: v }));
  }
  if (value instanceof Set) return part(value as Set<unknown>).map((v, i) => ({ name: String(from + i), value: v }));
  if (value instanceof Map) {
    return part(value as Map<unknown, unknown>).map(([k, v]) => ({ name: preview(k, 40), value: v }));
  }
  return part(Object.entries(value as object)).map(([name, v]: [string, unknown]) => ({ name, value: v }));
}

/** The value on one line of about so many characters, cut with an ellipsis. */
export function preview(value: unknown, most: number): string {
  const out: string[] = [];
  write(value, out, { left: most, depth: 0 });
  const text = out.join("");
  return text.length > most ? `${text.slice(0, Math.max(0, most - 1))}…` : text;
}

interface Room {
  left: number;
  depth: number;
}

function write(value: unknown, out: string[], room: Room): void {
  if (room.left < 0) return;
  const put = (text: string): void => {
    out.push(text);
    room.left -= text.length;
  };
  const kind = kindOfValue(value);
  if (kind !== "list" && kind !== "fields") {
    put(leaf(value, room.left));
    return;
  }
  const isList = kind === "list";
  const size = sizeOf(value);
  const name = value instanceof Map ? "Map" : value instanceof Set ? "Set" : "";
  if (room.depth >= 3) {
    put(isList ? `${name}[${size}]` : `${name}{…}`);
    return;
  }
  put(isList ? `${name}[` : `${name}{`);
  room.depth++;
  for (const [i, child] of childrenOf(value, 0, Math.max(1, room.left)).entries()) {
    if (i > 0) put(", ");
    if (!isList) put(`${child.name}: `);
    write(child.value, out, room);
    if (room.left < 0) break;
  }
  room.depth--;
  put(isList ? "]" : "}");
}

/** A value without children, in full up to `most` characters. */
export function leaf(value: unknown, most: number): string {
  switch (kindOfValue(value)) {
    case "text":
      return JSON.stringify((value as string).slice(0, most + 1));
    case "time":
      return Number.isNaN((value as Date).getTime()) ? "invalid Date" : (value as Date).toISOString();
    case "bytes":
      return bytesText(value as ArrayBuffer | ArrayBufferView | Blob);
    case "number":
      return typeof value === "bigint" ? `${value}n` : Object.is(value, -0) ? "-0" : String(value);
    default:
      return String(value);
  }
}

function bytesText(value: ArrayBuffer | ArrayBufferView | Blob): string {
  const name = value.constructor.name;
  if (isBlob(value)) return `${name}(${value.size} bytes${value.type ? `, ${value.type}` : ""})`;
  return `${name}(${value.byteLength} bytes)`;
}

/** Top-level fields that are not the same in both, or only in one; `undefined` where one of them has no fields. */
export function changedFields(newer: unknown, older: unknown): string[] | undefined {
  if (!isRecord(newer) || !isRecord(older)) return undefined;
  const names = new Set([...Object.keys(newer), ...Object.keys(older)]);
  return [...names].filter((name) => !isSame(newer[name], older[name]));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  kindOfValue(value) === "fields" && !(value instanceof Map);

function isSame(a: unknown, b: unknown): boolean {
  const size = sizeOf(a);
  if (kindOfValue(a) !== kindOfValue(b) || size !== sizeOf(b)) return false;
  if (size === 0) return a === b || (leaf(a, Infinity) === leaf(b, Infinity) && hasSameBytes(a, b));
  const others = childrenOf(b, 0, size);
  return childrenOf(a, 0, size).every(({ name, value }, i) => {
    const other = others[i]!.name === name ? others[i] : others.find((child) => child.name === name);
    return other !== undefined && isSame(value, other.value);
  });
}

/** Of blobs only sizes and types are at hand. */
function hasSameBytes(a: unknown, b: unknown): boolean {
  const [ofA, ofB] = [bytesOf(a), bytesOf(b)];
  return !ofA || !ofB || ofA.every((byte, i) => byte === ofB[i]);
}
