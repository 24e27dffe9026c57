/**
 * Values that are not in memory whole. The bytes of a blob of some size stay where the platform keeps them: its value's
 * bytes lack them, and the blob stands aside, with the place where they belong. Put in there, they make the value's bytes
 * (`value.ts`); nobody ever does that at once. So values cross between page and worker in both directions, and in streams:
 * written, a blob is read a piece at a time; read, it is put together from pieces (`splitter.ts`).
 */
import { joined } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { fields, type Form, listOf, object, optional, text, whole } from "./form.ts";
import { type BlobLike, isBlob } from "./platform.ts";

export interface Aside {
  /** Its bytes belong before the one at this position of those that are there. */
  readonly at: number;
  readonly blob: BlobLike;
  /** Where it stands among what was to be stored, for errors. */
  readonly place?: string;
}

export interface SplitValue {
  readonly bytes: Uint8Array;
  /** In the order of their places. */
  readonly aside: readonly Aside[];
}

export type ValueBytes = Uint8Array | SplitValue;

export const noneAside: readonly Aside[] = [];

export const isWhole = (value: ValueBytes): value is Uint8Array => value instanceof Uint8Array;

/** Of the value with all that stands aside. */
export const sizeOf = (value: ValueBytes): number =>
  isWhole(value) ? value.length : value.aside.reduce((n, { blob }) => n + blob.size, value.bytes.length);

/** What came from another realm, and is to be one of these lists. */
export const asideForm: Form<readonly Aside[]> = listOf(
  fields<Aside>({ at: whole, blob: (value) => object(value) && isBlob(value), place: optional(text) }),
);

/**
 * Deals what stands aside of many values to each: `from` and `to` are the ends of the next one, in their order. What
 * belongs to none of them is @throws CORRUPT, or left over: `isDone` tells.
 */
export class Dealer {
  readonly #aside: readonly Aside[];
  #next = 0;

  constructor(aside: readonly Aside[]) {
    this.#aside = aside;
  }

  get isDone(): boolean {
    return this.#next === this.#aside.length;
  }

  deal(from: number, to: number): readonly Aside[] {
    if (this.isDone) return noneAside;
    const own: Aside[] = [];
    for (let least = from; !this.isDone && this.#aside[this.#next]!.at <= to; this.#next++) {
      const one = this.#aside[this.#next]!;
      if (one.at < least) throw new TidemarkError("CORRUPT", "A blob stands aside of nothing", { what: "value" });
      least = one.at;
      own.push({ ...one, at: one.at - from });
    }
    return own;
  }
}

/** The bytes `from` ≤ i < `to` of the value. @throws VALUE_UNSUPPORTED where a blob cannot be read */
export async function readBytes(value: ValueBytes, from: number, to: number): Promise<Uint8Array> {
  if (isWhole(value)) return value.subarray(from, to);
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const part of partsOf(value)) {
    const size = isBytes(part) ? part.length : part.blob.size;
    const [first, end] = [Math.max(from - at, 0), Math.min(to - at, size)];
    if (first < end) pieces.push(isBytes(part) ? part.subarray(first, end) : await readBlob(part, first, end));
    at += size;
    if (at >= to) break;
  }
  return joined(pieces, to - from);
}

const isBytes = (part: Uint8Array | Aside): part is Uint8Array => part instanceof Uint8Array;

/** Bytes and blobs in turn. */
function* partsOf({ bytes, aside }: SplitValue): Generator<Uint8Array | Aside, void> {
  let from = 0;
  for (const one of aside) {
    yield bytes.subarray(from, one.at);
    yield one;
    from = one.at;
  }
  yield bytes.subarray(from);
}

async function readBlob({ blob, place = "A blob" }: Aside, from: number, to: number): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(await blob.slice(from, to).arrayBuffer());
    if (bytes.length === to - from) return bytes;
  } catch (e) {
    throw unreadable(place, e);
  }
  throw unreadable(place);
}

/** Files are read when they are stored: by then the disk may hold something else. */
export function unreadable(place: string, cause?: unknown): TidemarkError {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new TidemarkError(
    "VALUE_UNSUPPORTED",
    `${place} could not be read, and nothing was written${why}. Was the file changed, moved or deleted? Ask for it again`,
    { path: place, type: "Blob", why: "unreadable" },
    cause,
  );
}
