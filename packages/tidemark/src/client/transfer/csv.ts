/** Records as comma-separated values, by RFC 4180; the first row names the fields. */
import { TidemarkError } from "../../base/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { encodedTexts, type Incoming, type RecordReader, type RecordWriter, upToFailure } from "./formats.ts";
import type { Header } from "./frames.ts";
import { badLine, maxLineBytes } from "./lines.ts";
import { setOwn, taggedText } from "./tagged.ts";

type Fields = Readonly<Record<string, unknown>>;

export class CsvWriter implements RecordWriter {
  readonly #name: string;
  #columns: readonly string[] | undefined;
  readonly #isChosen: boolean;

  /** Without `columns` they are the fields of the first records; one that comes later is refused. */
  constructor(header: Header, columns: readonly string[] | undefined) {
    this.#name = header.collections[0]!.name;
    this.#columns = columns;
    this.#isChosen = columns !== undefined;
  }

  begin(): readonly Uint8Array[] {
    return this.#columns ? [new TextEncoder().encode(rowOf(this.#columns))] : [];
  }

  write(_: number, values: readonly unknown[]): AsyncGenerator<Uint8Array, void> {
    let begun = "";
    if (this.#columns === undefined) {
      this.#columns = [...new Set(values.flatMap((v) => Object.keys(v as object)))];
      begun = rowOf(this.#columns);
    }
    const columns = this.#columns;
    const known = new Set(columns);
    return encodedTexts(values as readonly Fields[], (record) => this.#row(record, columns, known), begun);
  }

  end(): readonly Uint8Array[] {
    return [];
  }

  async #row(record: Fields, columns: readonly string[], known: ReadonlySet<string>): Promise<string> {
    const unknown = this.#isChosen ? undefined : Object.keys(record).find((name) => !known.has(name));
    if (unknown !== undefined) throw this.#unknownColumn(unknown);
    const cells: string[] = [];
    for (const name of columns) cells.push(await cellOf(Object.hasOwn(record, name) ? record[name] : undefined, name));
    return rowOf(cells);
  }

  #unknownColumn(field: string): TidemarkError {
    return new TidemarkError(
      "VALIDATION",
      `A record of '${this.#name}' has a field '${field}' that the first ones do not have; list the fields in option columns`,
      { collection: this.#name, field },
    );
  }
}

const rowOf = (cells: readonly string[]): string =>
  `${cells.length === 1 && cells[0] === "" ? `""` : cells.map(quoted).join(",")}\r\n`;

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

async function cellOf(value: unknown, where: string): Promise<string> {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "" : value.toISOString();
  return taggedText(value, where);
}

interface Row {
  readonly cells: readonly string[];
  readonly line: number;
  readonly chars: number;
}

/** Every value is text. @throws VALIDATION naming the line */
export async function* readCsv(source: ByteSource, collection: string): RecordReader {
  let columns: readonly string[] | undefined;
  const parser = new CsvParser();
  const take = (row: Row): Incoming | undefined => {
    if (columns) return recordOf(row, columns, collection);
    columns = checkedColumns(row);
    return undefined;
  };
  for (let chunk = await source.next(); chunk; chunk = await source.next()) {
    yield* upToFailure(parser.rowsOf(chunk), take);
  }
  yield* upToFailure(parser.end(), take);
}

function checkedColumns({ cells, line }: Row): readonly string[] {
  const twice = cells.find((name, i) => cells.indexOf(name) !== i);
  if (twice !== undefined) throw badLine(line, `names the field '${twice}' twice`);
  return cells;
}

function recordOf({ cells, line, chars }: Row, columns: readonly string[], collection: string): Incoming {
  if (cells.length !== columns.length) {
    throw badLine(line, `has ${cells.length} values; the first row names ${columns.length} fields`);
  }
  const value = (): unknown => {
    const record: Record<string, unknown> = {};
    columns.forEach((name, i) => setOwn(record, name, cells[i]));
    return record;
  };
  return { collection, sizeBytes: chars, place: { line }, value };
}

/** Where the parser stands: before a value, in a plain or quoted one, or behind a quote that may be its end. */
type State = "start" | "plain" | "quoted" | "quote";

class CsvParser {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  line = 1;
  #state: State = "start";
  #cell = "";
  #cells: string[] = [];
  #rowLine = 1;
  #chars = 0;
  #isAfterReturn = false;

  /** Rows that end within the bytes; blank lines are none. @throws VALIDATION */
  *rowsOf(bytes: Uint8Array): Generator<Row, void> {
    for (let from = 0; from < bytes.length;) {
      const newline = bytes.indexOf(0x0a, from);
      const to = newline < 0 ? bytes.length : newline + 1;
      yield* this.#push(this.#decoded(bytes.subarray(from, to)));
      from = to;
    }
  }

  /** The row that has no end. @throws VALIDATION */
  *end(): Generator<Row, void> {
    yield* this.#push(this.#decoded());
    if (this.#state === "quoted") throw badLine(this.#rowLine, "begins a quoted value that has no end");
    const last = this.#endRow();
    if (last) yield last;
  }

  *#push(text: string): Generator<Row, void> {
    for (const char of text) {
      const row = this.#take(char);
      if (row) yield row;
    }
  }

  #decoded(bytes?: Uint8Array): string {
    try {
      return bytes ? this.#decoder.decode(bytes, { stream: true }) : this.#decoder.decode();
    } catch (e) {
      throw badLine(this.line, "is not UTF-8", e);
    }
  }

  #take(char: string): Row | undefined {
    if (++this.#chars > maxLineBytes) throw badLine(this.#rowLine, "is longer than a row may be");
    if (this.#isAfterReturn && char !== "\n") throw badLine(this.line, "has a carriage return that ends no line");
    this.#isAfterReturn = false;
    if (char === "\n") this.line++;
    if (this.#state === "quoted") {
      if (char === '"') this.#state = "quote";
      else this.#cell += char;
    } else if (char === "\n") return this.#endRow();
    else if (char === ",") this.#endCell();
    else if (char === "\r") this.#isAfterReturn = true;
    else if (char === '"') this.#takeQuote();
    else if (this.#state === "quote") throw badLine(this.line, "goes on behind the quote that ends a value");
    else {
      this.#state = "plain";
      this.#cell += char;
    }
    return undefined;
  }

  #takeQuote(): void {
    if (this.#state === "plain") throw badLine(this.line, "has a quote within a value that does not begin with one");
    if (this.#state === "quote") this.#cell += '"';
    this.#state = "quoted";
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#state = "start";
  }

  #endRow(): Row | undefined {
    const isBlank = this.#cells.length === 0 && this.#state === "start";
    this.#endCell();
    const row = { cells: this.#cells, line: this.#rowLine, chars: this.#chars };
    this.#cells = [];
    this.#chars = 0;
    this.#rowLine = this.line;
    return isBlank ? undefined : row;
  }
}
