/**
 * Records from a stream, in batches that are written whole or not at all. The next batch is read while one is written, and
 * at most these two are in memory. Whatever ends an import early says how many records of the stream are dealt with, so
 * that another one of the same stream can go on there.
 */
import { checkOptions, invalid, type OptionChecks, signalCheck } from "../../protocol/options.ts";
import { TidemarkError } from "../../base/errors.ts";
import type { DamageReport } from "../../protocol/messages.ts";
import type { Database } from "../database.ts";
import type { Declarations } from "../types.ts";
import { Batch } from "./batch.ts";
import { ByteSource } from "./byte-source.ts";
import { collectionCheck, collectionsCheck, conflictCheck, formatCheck, functionCheck } from "./checks.ts";
import { readCsv } from "./csv.ts";
import type { Incoming, RecordReader } from "./formats.ts";
import { readLines } from "./lines.ts";
import { readNative } from "./native.ts";
import type { ImportOptions, ImportProgress, ImportReport } from "./options.ts";

const isPosition = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const [minBatchBytes, maxBatchBytes] = [1024, 16 * 1024 * 1024];
const defaultBatchBytes = 256 * 1024;

const checks: OptionChecks<ImportOptions> = {
  format: formatCheck,
  collection: collectionCheck,
  collections: collectionsCheck,
  map: functionCheck,
  onConflict: conflictCheck,
  batchBytes: [
    (v) => isPosition(v) && (v as number) >= minBatchBytes && (v as number) <= maxBatchBytes,
    `a whole number of bytes from ${minBatchBytes} to ${maxBatchBytes}`,
  ],
  signal: signalCheck,
  progress: functionCheck,
  resumeAfter: [isPosition, "a whole number from 0 up"],
};

export async function importFrom(
  database: Database<Declarations>,
  stream: ReadableStream<Uint8Array>,
  options: ImportOptions,
): Promise<ImportReport> {
  checkImport(stream, options);
  options.signal?.throwIfAborted();
  const source = new ByteSource(stream, options.signal);
  const running = new Import(database, options);
  try {
    const report = await running.run(readerOf(source, options, running));
    await source.cancel();
    return report;
  } catch (e) {
    await source.cancel(e);
    throw e;
  }
}

function checkImport(stream: unknown, options: ImportOptions): void {
  if (!isStream(stream)) throw invalid("stream", stream, "a ReadableStream of bytes");
  if (stream.locked) throw invalid("stream", "locked", "one that nobody else reads");
  checkOptions("import()", options, checks);
  const { format = "tidemark", collection, collections } = options;
  if (format === "csv" && collection === undefined) throw invalid("collection", collection, "named for format csv");
  if (format === "tidemark" && collection !== undefined) {
    throw invalid("collection", collection, "left out: records of this format say whose they are");
  }
  if (collection !== undefined && collections !== undefined) throw invalid("collections", collections, "left out");
}

/** Also of another realm. */
const isStream = (value: unknown): value is ReadableStream =>
  typeof value === "object" && value !== null && "getReader" in value && typeof value.getReader === "function";

function readerOf(
  source: ByteSource,
  { format = "tidemark", collection }: ImportOptions,
  running: Import,
): RecordReader {
  if (collection !== undefined) running.refuseUnknown([collection]);
  if (format === "csv") return readCsv(source, collection!);
  if (format === "ndjson") return readLines(source, collection);
  return readNative(source, {
    begun: ({ collections }) => running.refuseUnknown(collections.map(({ name }) => name)),
    ended: ({ damage }) => (running.damage = damage),
  });
}

class Import {
  readonly #database: Database<Declarations>;
  readonly #options: ImportOptions;
  readonly #wanted: ReadonlySet<string> | undefined;
  readonly #written = new Map<string, number>();
  #done: ImportProgress;
  /** Of a salvage: what its stream lacks. */
  damage: readonly DamageReport[] | undefined;
  /** Records of the stream that were read. */
  #read = 0;
  #batch = new Batch();
  #writing: Promise<void> | undefined;

  constructor(database: Database<Declarations>, options: ImportOptions) {
    this.#database = database;
    this.#options = options;
    this.#wanted = options.collections && new Set(options.collections);
    this.#done = { records: 0, skipped: 0, position: options.resumeAfter ?? 0 };
  }

  /** Before anything is written. @throws UNKNOWN_NAME */
  refuseUnknown(names: readonly string[]): void {
    for (const name of names) if (this.#isWanted(name)) this.#database.collection(name);
  }

  async run(reader: RecordReader): Promise<ImportReport> {
    const { batchBytes = defaultBatchBytes } = this.#options;
    try {
      try {
        for await (const records of reader) {
          for (const record of records) {
            this.#take(record);
            if (this.#batch.sizeBytes >= batchBytes) await this.#write();
          }
        }
      } catch (e) {
        if (!this.#options.signal?.aborted) await this.#write(); // what stands before the damage
        throw e;
      }
      await this.#write();
      await this.#writing;
      this.#refuseShort();
    } catch (e) {
      await this.#writing?.catch(() => undefined);
      throw resumable(e, this.#done.position);
    }
    const { damage } = this;
    return { ...this.#done, collections: Object.fromEntries(this.#written), ...(damage ? { damage } : {}) };
  }

  #take(record: Incoming): void {
    const { resumeAfter = 0, map } = this.#options;
    const { collection, sizeBytes } = record;
    const position = this.#read;
    if (position < resumeAfter) {
      this.#read++;
      return;
    }
    const isWanted = this.#isWanted(collection);
    if (isWanted) this.#declared(record);
    const value = isWanted ? record.value() : undefined;
    const made = isWanted && map ? map(value, collection) : value;
    if (isWanted && made !== undefined) this.#batch.add(collection, made, sizeBytes, record.place);
    else this.#batch.skipped++;
    this.#batch.end = ++this.#read;
  }

  #isWanted(name: string): boolean {
    return this.#wanted === undefined || this.#wanted.has(name);
  }

  #declared({ collection, place }: Incoming): void {
    if (this.#batch.has(collection)) return;
    try {
      this.#database.collection(collection);
    } catch (e) {
      throw e instanceof TidemarkError ? new TidemarkError(e.code, e.message, { ...e.details, ...place }, e) : e;
    }
  }

  /** Begins to write the batch, once the one before is written. */
  async #write(): Promise<void> {
    const batch = this.#batch;
    await this.#writing;
    this.#options.signal?.throwIfAborted();
    if (batch.end === 0) return;
    this.#batch = new Batch();
    this.#writing = this.#commit(batch);
    this.#writing.catch(() => undefined); // awaited by the next one, or at the end
  }

  async #commit(batch: Batch): Promise<void> {
    const { onConflict = "replace", progress } = this.#options;
    const written = await batch.write(this.#database, onConflict);
    let { records, skipped } = this.#done;
    for (const [name, count] of written) {
      records += count;
      this.#written.set(name, (this.#written.get(name) ?? 0) + count);
    }
    skipped += batch.end - this.#done.position - (records - this.#done.records);
    this.#done = { records, skipped, position: batch.end };
    progress?.(this.#done);
  }

  #refuseShort(): void {
    const { resumeAfter = 0 } = this.#options;
    if (this.#read >= resumeAfter) return;
    throw new TidemarkError(
      "OPTIONS_INVALID",
      `The stream has ${this.#read} records, but resumeAfter is ${resumeAfter}: is it another stream?`,
      { option: "resumeAfter" },
    );
  }
}

/** What ended the import, saying where to go on. What others may see too, as a signal's reason, is not said twice. */
function resumable(e: unknown, resumeAfter: number): unknown {
  if (e instanceof TidemarkError) return new TidemarkError(e.code, e.message, { ...e.details, resumeAfter }, e);
  const details = { resumeAfter };
  if (e instanceof Error && !("details" in e) && Object.isExtensible(e)) return Object.assign(e, { details });
  const { name, message } = e instanceof Error ? e : { name: "Error", message: String(e) };
  return Object.assign(new Error(message, { cause: e }), { name, details });
}
