/** Records on their way out: taken as they are when the call is made, their keys extracted by the stored schema. */
import { type ByteKey, byteKey } from "../base/brand.ts";
import { ByteWriter, writtenBy } from "../base/bytes.ts";
import { TidemarkError } from "../base/errors.ts";
import { extractIndexKeys, extractKey } from "../codec/path.ts";
import { type Aside, Dealer, noneAside } from "../codec/aside.ts";
import type { BlobLike } from "../codec/platform.ts";
import { tablePrefix, type WriteBatch, type WriteKind, writeRecordHead, writeWriteHead } from "../codec/record.ts";
import type { StoredCollection } from "../codec/schema.ts";
import { Texts } from "../codec/texts.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";
import { blobsOf } from "./blobs.ts";

type BlobBytes = ReadonlyMap<object, Uint8Array>;

/** Below this, encoding them together does not pay. */
const fewRecords = 8;

const largeBatchBytes = 64 * 1024;
const noBytes = new Uint8Array();

/** Used and emptied within one synchronous step. */
const head = new ByteWriter(512);

/**
 * Whole records of one call. What the caller does to them after the call does not matter. Small blobs are read into their
 * bytes before they leave; large ones leave as they are, and the worker reads them.
 */
export class RecordBatch {
  readonly #collection: string;
  readonly #kind: Exclude<WriteKind, "delete">;
  readonly #count: number;
  /** The values encoded, one after the other, and where each ends; once blobs are read if there are any. */
  #bytes: Uint8Array = noBytes;
  /** Where they are encoded little by little. */
  #growing: ByteWriter | undefined;
  readonly #ends: number[] = [];
  #aside: Aside[] = [];
  /** The records themselves while they are the caller's unchanged ones, or copies of our own. */
  #records: readonly unknown[] | undefined;
  #hasSmallBlobs = false;

  private constructor(collection: string, kind: Exclude<WriteKind, "delete">, records: readonly unknown[]) {
    this.#collection = collection;
    this.#kind = kind;
    this.#count = records.length;
    this.#records = records;
    records.forEach((record, i) => {
      if (typeof record !== "object" || record === null) throw notARecord(this.#place(i), record);
    });
  }

  /** @throws VALUE_UNSUPPORTED naming the place of what cannot be stored. */
  static of(collection: string, kind: Exclude<WriteKind, "delete">, records: readonly unknown[]): RecordBatch {
    const batch = new RecordBatch(collection, kind, records);
    batch.#hasSmallBlobs = batch.#encode(records, undefined).length > 0;
    if (batch.#hasBlobs) batch.#records = structuredClone(records);
    return batch;
  }

  /** None is encoded yet: `encodeUpTo` does that, within the call that they come with. */
  static begin(collection: string, kind: Exclude<WriteKind, "delete">, records: readonly unknown[]): RecordBatch {
    const batch = new RecordBatch(collection, kind, records);
    batch.#growing = new ByteWriter(256 + records.length * 192);
    return batch;
  }

  /** Encodes the records before position `to` whose turn has not come. False: one is not flat, and `of` is for those. */
  encodeUpTo(to: number): boolean {
    const from = this.#ends.length;
    const texts = Texts.of(this.#records!.slice(from, to));
    const out = this.#growing;
    if (!texts || !out) return false;
    for (let i = from; i < to; i++) {
      texts.write(i - from, out);
      this.#ends[i] = out.length;
    }
    this.#bytes = out.written();
    return true;
  }

  /** Whether `readBlobs` comes before `writes`. */
  get hasSmallBlobs(): boolean {
    return this.#hasSmallBlobs;
  }
  get #hasBlobs(): boolean {
    return this.#hasSmallBlobs || this.#aside.length > 0;
  }

  async readBlobs(): Promise<void> {
    const blobs = this.#encode(this.#records!, undefined);
    this.#encode(this.#records!, await blobsOf(blobs, this.#collection));
  }

  /** From here on the caller may change its records. */
  release(): void {
    if (!this.#hasBlobs) this.#records = undefined;
  }

  /** The batch of writes for the engine; these keys are deleted after them. @throws KEY_INVALID naming the place. */
  writes(stored: StoredCollection, deleted: readonly ByteKey[] = []): WriteBatch {
    let aside = noneAside;
    const aboutBytes = this.#bytes.length + (this.#count + deleted.length) * 64 + 256;
    const writes = writtenAs((out) => {
      aside = this.#put(out, 0, this.#count, stored);
      writeDeletes(out, deleted, stored);
    }, aboutBytes);
    return aside.length === 0 ? { writes } : { writes, aside };
  }

  /** The writes of the records `from` ≤ i < `to`, none of which has blobs. @throws KEY_INVALID naming the place. */
  writesOf(from: number, to: number, stored: StoredCollection): Uint8Array {
    const sizeBytes = this.#ends[to - 1]! - this.#start(from);
    return writtenAs((out) => void this.#put(out, from, to, stored), sizeBytes + (to - from) * 64 + 256);
  }

  /** Answers the blobs that stand aside of what it appends. */
  #put(out: ByteWriter, first: number, end: number, stored: StoredCollection): readonly Aside[] {
    const records = this.#records ?? this.#decoded();
    const bytes = this.#bytes;
    const prefix = tablePrefix(stored.table);
    const indexes = Object.values(stored.indexes).map((index) => ({ index, prefix: tablePrefix(index.table) }));
    const aside: Aside[] = [];
    const dealer = new Dealer(this.#aside);
    for (let i = first; i < end; i++) {
      const record = records[i];
      const where = this.#place(i);
      const key = byteKey(prefix + extractKey(record, stored.key, where));
      const entries: ByteKey[] = [];
      for (const { index, prefix: of } of indexes) {
        for (const k of extractIndexKeys(record, index, where)) entries.push(byteKey(of + k));
      }
      head.reset();
      writeRecordHead(head, entries);
      const [from, to] = [this.#start(i), this.#ends[i]!];
      const value = bytes.subarray(from, to);
      writeWriteHead(out, this.#kind, key, head.length + value.length);
      out.bytes(head.written());
      for (const one of dealer.deal(from, to)) aside.push({ ...one, at: out.length + one.at });
      out.bytes(value);
    }
    return aside;
  }

  #encode(records: readonly unknown[], blobs: BlobBytes | undefined): readonly BlobLike[] {
    const unread: BlobLike[] = [];
    this.#aside = [];
    const texts = records.length < fewRecords ? undefined : Texts.of(records);
    const write = (out: ByteWriter): void => {
      records.forEach((record, i) => {
        if (texts) texts.write(i, out);
        else for (const blob of encodeValue(record, out, this.#place(i), blobs, this.#aside)) unread.push(blob);
        this.#ends[i] = out.length;
      });
    };
    this.#bytes = writtenAs(write, 256 + records.length * 192);
    return unread;
  }

  #decoded(): unknown[] {
    const bytes = this.#bytes;
    return this.#ends.map((end, i) => decodeValue(bytes.subarray(this.#start(i), end)));
  }

  #start(i: number): number {
    return i === 0 ? 0 : this.#ends[i - 1]!;
  }

  /** Names a record in errors. */
  #place(i: number): string {
    return this.#count === 1 ? this.#collection : `${this.#collection}[${i}]`;
  }
}

/** A large batch moves to the worker with its buffer's slack; a small one is copied, and should have none. */
function writtenAs(write: (out: ByteWriter) => void, aboutBytes: number): Uint8Array {
  if (aboutBytes < largeBatchBytes) return writtenBy(write);
  const out = new ByteWriter(aboutBytes);
  write(out);
  return out.written();
}

export function encodeDeletes(keys: readonly ByteKey[], stored: StoredCollection): WriteBatch {
  return { writes: writtenAs((out) => writeDeletes(out, keys, stored), 64 * keys.length) };
}

function writeDeletes(out: ByteWriter, keys: readonly ByteKey[], { table }: StoredCollection): void {
  const prefix = tablePrefix(table);
  for (const key of keys) writeWriteHead(out, "delete", byteKey(prefix + key), 0);
}

/** A copy of what a caller may change meanwhile. @throws VALUE_UNSUPPORTED where it cannot be stored. */
export function snapshotOf<T>(value: T, where: string): T {
  encodeValue(value, new ByteWriter(512), where);
  return structuredClone(value);
}

export function notARecord(where: string, value: unknown): TidemarkError {
  const type = value === null ? "null" : typeof value;
  return new TidemarkError("VALUE_UNSUPPORTED", `${where} is ${type}; a record is an object`, {
    where,
    path: where,
    type,
  });
}
