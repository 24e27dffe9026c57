/**
 * Puts together what `pack.ts` took apart; the codes are explained there. The input may be damaged in any way: paths
 * follow own properties of plain objects and arrays only, so no prototype is ever reached, and what does not fit is
 * CORRUPT. Where a constructor rejects its arguments its error is passed on; the caller turns it into CORRUPT.
 */
import { ByteReader } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { type Aside, noneAside } from "./aside.ts";
import { type BlobLike, float16Name, platform, viewConstructor } from "./platform.ts";

type Container = Record<string | number, unknown>;

/** The bytes behind the text of a value, and the blobs among them that stand aside, in the order of their patches. */
export class Attached {
  readonly #reader: ByteReader;
  readonly #aside: readonly Aside[];
  #next = 0;
  #elementsLeft: number;

  constructor(reader: ByteReader, aside: readonly Aside[] = noneAside) {
    this.#reader = reader;
    this.#aside = aside;
    this.#elementsLeft = reader.bytes.length;
  }

  get isDone(): boolean {
    return this.#reader.done && this.#next === this.#aside.length;
  }

  /**
   * The elements of an array in the text: each of them took a byte there. So what is made of it is bounded: damaged
   * patches could make arrays of four thousand million holes, and turn them into Sets, or do so with smaller ones over
   * and over.
   */
  elements(held: unknown): readonly unknown[] {
    const found = list(held);
    this.#elementsLeft -= found.length;
    return this.#elementsLeft >= 0 ? found : damaged();
  }

  /** A copy, since the bytes read belong to a larger buffer. */
  bytes(length: unknown): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#reader.take(lengthOf(length)));
  }

  blob(length: unknown): Uint8Array | BlobLike {
    const { at, blob } = this.#aside[this.#next] ?? {};
    if (at !== this.#reader.at || blob?.size !== length) return this.#reader.take(lengthOf(length));
    this.#next++;
    return blob as BlobLike;
  }
}

export interface Attachment {
  readonly isBlob: boolean;
  readonly lengthBytes: number;
}

function parsedHead(head: Uint8Array): unknown {
  const reader = new ByteReader(head, "value", 1);
  try {
    return JSON.parse(new TextDecoder().decode(reader.take(reader.varint())));
  } catch {
    return damaged();
  }
}

/** What is attached to a rich value, by what stands before that. @throws CORRUPT */
export function attachmentsIn(head: Uint8Array): readonly Attachment[] {
  return list(list(parsedHead(head))[1]).flatMap((patch): Attachment[] => {
    const [code, first, second] = list(patch);
    if (code === "b") return [{ isBlob: false, lengthBytes: lengthOf(first) }];
    if (code === "v") return [{ isBlob: false, lengthBytes: lengthOf(second) }];
    return code === "B" || code === "F" ? [{ isBlob: true, lengthBytes: lengthOf(second) }] : [];
  });
}

/** The value of a parsed `[skeleton, patches]`; `attachments` stands at the first and must be used up. */
export function unpack(parsed: unknown, attachments: Attached): unknown {
  if (!Array.isArray(parsed) || parsed.length !== 2) damaged();
  // The skeleton is reached through `parsed`, so that a patch may replace the root too.
  const patches: unknown = parsed[1];
  if (!Array.isArray(patches)) damaged();
  for (const patch of patches) apply(patch, parsed, attachments);
  if (!attachments.isDone) damaged();
  return parsed[0];
}

function apply(patch: unknown, parsed: unknown, attachments: Attached): void {
  if (!Array.isArray(patch)) damaged();
  const start = 1 + needs(patch[0]);
  if (patch.length < start) damaged();
  let parent = parsed as Container;
  let step: string | number = 0;
  for (let i = start; i < patch.length; i++) {
    parent = parent[step] as Container;
    step = patch[i] as string | number;
    if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, step)) damaged();
    if (typeof step !== (Array.isArray(parent) ? "number" : "string")) damaged();
  }
  parent[step] = restore(patch, parent[step], attachments);
}

/** How many things stand between code and path. */
function needs(code: unknown): number {
  switch (code) {
    case "u":
    case "m":
    case "s":
    case "o":
      return 0;
    case "n":
    case "i":
    case "d":
    case "b":
      return 1;
    case "r":
    case "h":
    case "v":
    case "B":
      return 2;
    case "F":
      return 4;
    default:
      return damaged();
  }
}

function restore(patch: readonly unknown[], held: unknown, attachments: Attached): unknown {
  switch (patch[0]) {
    case "u":
      return undefined;
    case "n":
      return numbers.get(patch[1]) ?? damaged();
    case "i":
      return bigint(text(patch[1]));
    case "d":
      return new Date(patch[1] === null ? Number.NaN : number(patch[1]));
    case "r":
      return new RegExp(text(patch[1]), text(patch[2]));
    case "m":
      return new Map(attachments.elements(held).map(entry));
    case "s":
      return new Set(attachments.elements(held));
    case "o":
      return Object.fromEntries(attachments.elements(held).map(field));
    case "h":
      return withHoles(attachments.elements(held), number(patch[1]), list(patch[2]));
    default:
      return restoreBytes(patch, attachments);
  }
}

function restoreBytes(patch: readonly unknown[], attachments: Attached): unknown {
  switch (patch[0]) {
    case "b":
      return attachments.bytes(patch[1]).buffer;
    case "v":
      return view(text(patch[1]), attachments.bytes(patch[2]).buffer);
    case "B": {
      const Blob = platform.Blob ?? unsupported("Blob");
      return new Blob([attachments.blob(patch[2])], { type: text(patch[1]) });
    }
    default: {
      const File = platform.File ?? unsupported("File");
      const options = { type: text(patch[1]), lastModified: number(patch[4]) };
      return new File([attachments.blob(patch[2])], text(patch[3]), options);
    }
  }
}

const maxArrayLength = 2 ** 32 - 1;

const numbers = new Map<unknown, number>([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

function bigint(digits: string): bigint {
  return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
}

function entry(held: unknown): [unknown, unknown] {
  return Array.isArray(held) && held.length === 2 ? [held[0], held[1]] : damaged();
}

function field(held: unknown): [string, unknown] {
  const [name, value] = entry(held);
  return [text(name), value];
}

function withHoles(held: readonly unknown[], length: number, indexes: readonly unknown[]): unknown[] {
  if (held.length !== indexes.length) damaged();
  const array: unknown[] = [];
  // An array this long is stored sparsely and stays so; else some engines set aside memory for each hole.
  if (length > 2 * held.length + 64) array.length = maxArrayLength;
  array.length = length;
  let next = 0;
  for (let i = 0; i < held.length; i++) {
    const index = number(indexes[i]);
    if (!(Number.isInteger(index) && index >= next && index < length)) damaged();
    array[index] = held[i];
    next = index + 1;
  }
  return array;
}

function lengthOf(length: unknown): number {
  const bytes = number(length);
  return Number.isInteger(bytes) && bytes >= 0 ? bytes : damaged();
}

function view(name: string, buffer: ArrayBuffer): unknown {
  const View = viewConstructor(name) ?? (name === float16Name ? unsupported(name) : damaged());
  return new View(buffer);
}

const text = (x: unknown): string => (typeof x === "string" ? x : damaged());
const number = (x: unknown): number => (typeof x === "number" ? x : damaged());
const list = (x: unknown): readonly unknown[] => (Array.isArray(x) ? x : damaged());

function damaged(): never {
  throw new TidemarkError("CORRUPT", "A stored value is damaged", { what: "value" });
}

function unsupported(type: string): never {
  throw new TidemarkError("VALUE_UNSUPPORTED", `A stored value holds a ${type}, which this browser does not have`, {
    type,
  });
}
