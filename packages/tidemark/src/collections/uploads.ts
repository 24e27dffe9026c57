/**
 * Long writes that come in parts, while the page still makes the rest. What is here is read, and stored ahead as the body
 * of the log entry that it is going to be (wal/body-ahead.ts), unless it seems to overwrite: only the write that ends
 * the upload commits anything.
 */
import type { ByteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { bytes, fields, whole } from "../codec/form.ts";
import { type EndingBatch, readWrites, type Write, type WritePart } from "../codec/record.ts";
import { BodyAhead, type Expected } from "../wal/body-ahead.ts";
import type { Body } from "../wal/group-commit.ts";
import { Reader } from "../mvcc/reader.ts";
import type { Store } from "../mvcc/store.ts";
import { hasLarge } from "./outside.ts";

const isPart = fields<WritePart>({ upload: whole, position: whole, count: whole, maxBytes: whole, writes: bytes });

export interface Uploaded {
  /** `undefined`: some of them are not here. */
  readonly writes: readonly Write[] | undefined;
  /** Whether no key is there twice; absent: nobody has looked. */
  readonly isDistinct?: boolean;
  readonly ahead?: Body | undefined;
  /** Discards what is stored ahead, unless it was taken. */
  drop(): void;
}

/** So many keys of an upload tell whether it overwrites. */
const sampledKeys = 32;
/** A page has one upload on its way at a time; what is older than these was forgotten. */
const maxUploads = 4;

export class Uploads {
  readonly #store: Store;
  readonly #uploads = new Map<number, Upload>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws CORRUPT where it is no part: then the write that follows is refused, too. */
  take(part: WritePart): void {
    if (!isPart(part)) throw new TidemarkError("CORRUPT", "A part of a write is none", { what: "batch of writes" });
    const { upload: id, position } = part;
    if (position === 0) this.#begin(part);
    const upload = this.#uploads.get(id);
    if (upload?.parts !== position) return this.drop(id);
    upload.add(readWrites({ writes: part.writes }));
    upload.parts++;
  }

  drop(id: number): void {
    this.#uploads.get(id)?.drop();
    this.#uploads.delete(id);
  }

  /** A batch with what has come before it. @throws CORRUPT */
  finish(batch: EndingBatch): Uploaded {
    const { upload: ending } = batch;
    const rest = readWrites(batch);
    if (!ending) return { writes: rest, drop: nothing };
    const upload = this.#uploads.get(ending.id);
    if (upload?.parts !== ending.parts) {
      this.drop(ending.id);
      return { writes: undefined, drop: nothing };
    }
    this.#uploads.delete(ending.id);
    upload.add(rest);
    return upload.finish();
  }

  #begin({ upload: id, count, maxBytes }: WritePart): void {
    this.drop(id);
    for (const old of [...this.#uploads.keys()].slice(0, 1 - maxUploads)) this.drop(old);
    this.#uploads.set(id, new Upload(this.#store, { count, maxBytes }));
  }
}

class Upload {
  parts = 0;
  readonly #store: Store;
  readonly #writes: Write[] = [];
  readonly #keys = new Set<ByteKey>();
  readonly #ahead: BodyAhead | undefined;

  constructor(store: Store, expected: Expected) {
    this.#store = store;
    this.#ahead = BodyAhead.begin(store.staging, expected);
  }

  add(writes: readonly Write[]): void {
    const isFirst = this.#writes.length === 0;
    for (const w of writes) {
      this.#writes.push(w);
      this.#keys.add(w.key);
    }
    if (isFirst) void this.#sample(writes.slice(0, sampledKeys)).catch(nothing);
    if (hasLarge(writes) || writes.some((w) => w.kind === "delete")) this.#ahead?.off();
    this.#ahead?.put(writes);
  }

  finish(): Uploaded {
    const ahead = this.#ahead;
    const body = ahead?.complete();
    return {
      writes: this.#writes,
      isDistinct: this.#keys.size === this.#writes.length,
      ahead: ahead && body && { bytes: body, ahead: () => ahead.take() },
      drop: () => this.drop(),
    };
  }

  drop(): void {
    void this.#ahead?.drop();
  }

  /** What seems to overwrite is not stored ahead. */
  async #sample(writes: readonly Write[]): Promise<void> {
    const keys = writes.map(({ key }) => key);
    if (!(await areNew(this.#store, keys))) this.#ahead?.off();
  }
}

/** Whether none of these keys is there, as far as this tab knows. */
async function areNew(store: Store, keys: readonly ByteKey[]): Promise<boolean> {
  if (keys.some((key) => store.memtable.newest(key) !== undefined)) return false;
  const { versions } = await new Reader(store).inBlocks(keys);
  return [...versions.values()].every((version) => version?.payload === undefined);
}

const nothing = (): void => undefined;
