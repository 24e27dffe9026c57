/** Records as lines of JSON. */
import { joined } from "../../base/bytes.ts";
import { isTidemarkError, TidemarkError } from "../../base/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { encodedTexts, type Incoming, type RecordReader, type RecordWriter, upToFailure } from "./formats.ts";
import type { Header } from "./frames.ts";
import { fromTagged, taggedText } from "./tagged.ts";

/** No line is longer. */
export const maxLineBytes: number = 256 * 1024 * 1024;

const newline = 0x0a;

export class LinesWriter implements RecordWriter {
  readonly #header: Header;
  readonly #isBare: boolean;

  /** `isBare`: lines are records; else they also say of which collection. */
  constructor(header: Header, isBare: boolean) {
    this.#header = header;
    this.#isBare = isBare;
  }

  begin(): readonly Uint8Array[] {
    return [];
  }

  write(collection: number, values: readonly unknown[]): AsyncGenerator<Uint8Array, void> {
    const { name } = this.#header.collections[collection]!;
    return encodedTexts(values, async (value) => {
      const tagged = await taggedText(value, name);
      return this.#isBare ? `${tagged}\n` : `{"collection":${JSON.stringify(name)},"value":${tagged}}\n`;
    });
  }

  end(): readonly Uint8Array[] {
    return [];
  }
}

/** `collection`: lines are records of it; else they say so themselves. @throws VALIDATION naming the line */
export async function* readLines(source: ByteSource, collection: string | undefined): RecordReader {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const lines = new Lines();
  const take = ({ bytes, line }: Line): Incoming | undefined => {
    const json = parsedLine(decoder, bytes, line);
    return json && recordIn(json.value, collection, line, bytes.length);
  };
  for (let chunk = await source.next(); chunk; chunk = await source.next()) yield* upToFailure(lines.of(chunk), take);
  yield* upToFailure(lines.end(), take);
}

interface Line {
  readonly bytes: Uint8Array;
  /** From 1 on. */
  readonly line: number;
}

/** Lines, without their ends, of chunks that end anywhere. */
class Lines {
  #line = 1;
  #begun: Uint8Array[] = [];
  #begunBytes = 0;

  *of(chunk: Uint8Array): Generator<Line, void> {
    let from = 0;
    for (let to = chunk.indexOf(newline); to >= 0; to = chunk.indexOf(newline, from)) {
      this.#begin(chunk.subarray(from, to));
      yield this.#ended();
      from = to + 1;
    }
    if (from < chunk.length) this.#begin(chunk.slice(from));
    if (this.#begunBytes > maxLineBytes) throw badLine(this.#line, "is longer than a line may be");
  }

  /** The line that has no end. */
  *end(): Generator<Line, void> {
    if (this.#begunBytes > 0) yield this.#ended();
  }

  #begin(piece: Uint8Array): void {
    this.#begun.push(piece);
    this.#begunBytes += piece.length;
  }

  #ended(): Line {
    const bytes = joined(this.#begun, this.#begunBytes);
    this.#begun = [];
    this.#begunBytes = 0;
    return { bytes, line: this.#line++ };
  }
}

/** `undefined` where the line is blank. */
function parsedLine(decoder: TextDecoder, bytes: Uint8Array, line: number): { readonly value: unknown } | undefined {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (e) {
    throw badLine(line, "is not UTF-8", e);
  }
  if (text.trim() === "") return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (e) {
    throw badLine(line, "is no JSON", e);
  }
}

function recordIn(json: unknown, collection: string | undefined, line: number, sizeBytes: number): Incoming {
  const place = { line };
  if (collection !== undefined) return { collection, sizeBytes, place, value: () => untagged(json, line) };
  const { collection: name, value } = isWrapped(json) ? json : { collection: undefined, value: undefined };
  if (name === undefined) {
    throw badLine(line, `is not { "collection": …, "value": … }; say by option collection whose records the lines are`);
  }
  return { collection: name, sizeBytes, place, value: () => untagged(value, line) };
}

function isWrapped(json: unknown): json is { readonly collection: string; readonly value: unknown } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return false;
  const names = Object.keys(json);
  return names.length === 2 && "value" in json && "collection" in json && typeof json.collection === "string";
}

function untagged(json: unknown, line: number): unknown {
  try {
    return fromTagged(json);
  } catch (e) {
    if (isTidemarkError(e, "VALIDATION")) throw badLine(line, e.message.replace(/^The value /, ""), e);
    throw e;
  }
}

export const badLine = (line: number, why: string, cause?: unknown): TidemarkError =>
  new TidemarkError("VALIDATION", `Line ${line} ${why}`, { line }, cause);
