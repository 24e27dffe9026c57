/** What every format of a stream of records is to the export and the import. */
import type { DamageReport } from "../../protocol/messages.ts";

export type TransferFormat = "tidemark" | "ndjson" | "csv";

/** Makes the bytes of one export. What it yields is small, but for a single record that is not. */
export interface RecordWriter {
  begin(): readonly Uint8Array[];
  /** `collection`: by its position in the header. */
  write(collection: number, values: readonly unknown[]): AsyncGenerator<Uint8Array, void>;
  end(damage: readonly DamageReport[] | undefined): readonly Uint8Array[];
}

/** A record of a stream that is read. */
export interface Incoming {
  readonly collection: string;
  /** About what it takes in memory. */
  readonly sizeBytes: number;
  /** Where it stands, for errors: a line, or a byte offset. */
  readonly place: Readonly<Record<string, number>>;
  /** @throws what is wrong with it */
  value(): unknown;
}

/** Records as they come, some at a time. */
export type RecordReader = AsyncGenerator<readonly Incoming[], void>;

/** So many are handed on at a time, however many came together. */
const recordsAtOnce = 1000;

/** What `make` makes of the items, up to the first that it refuses: that comes after what was before it. */
export function* upToFailure<T, R>(
  items: Iterable<T>,
  make: (item: T) => R | undefined,
): Generator<readonly R[], void> {
  let made: R[] = [];
  try {
    for (const item of items) {
      const one = make(item);
      if (one !== undefined) made.push(one);
      if (made.length < recordsAtOnce) continue;
      yield made;
      made = [];
    }
  } catch (e) {
    if (made.length > 0) yield made;
    throw e;
  }
  if (made.length > 0) yield made;
}

/** Texts are gathered until they are so long together. */
const chunkChars = 60 * 1024;

/** The texts of `items`, one behind the other as UTF-8, behind `begun`. */
export async function* encodedTexts<T>(
  items: readonly T[],
  textOf: (item: T) => Promise<string>,
  begun = "",
): AsyncGenerator<Uint8Array, void> {
  const encoder = new TextEncoder();
  let text = begun;
  for (const item of items) {
    text += await textOf(item);
    if (text.length < chunkChars) continue;
    yield encoder.encode(text);
    text = "";
  }
  if (text !== "") yield encoder.encode(text);
}
