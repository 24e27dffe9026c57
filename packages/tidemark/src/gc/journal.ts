/**
 * What garbage collection writes down about itself: a record of every step that removed something, in the very batch
 * that removed it, and an execution for every run. Rows of store `meta`, the last hundred of each: they are no versions,
 * so they make no garbage, and nobody is woken by them.
 */
import type { ByteKey, Seq } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import { checkedForm, fields, type Form, object, oneOf, optional, real, text, whole } from "../codec/form.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { decoding } from "../codec/value.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { hashOf } from "../segments/filter.ts";
import type { Readable } from "../segments/rule.ts";
import { inlineBytes, type Version } from "../segments/version.ts";
import { type Found, type Read, under, type Write } from "../storage/contract.ts";
import type { Fence } from "../wal/log.ts";
import { openRow, putRow } from "../wal/row.ts";

/** What a decision is based on: who may read, and the digest of the holders that were considered. */
export interface Basis extends Readable {
  readonly holders: number;
  /** The log that it was decided on. In another incarnation the floor may be above what somebody reads. */
  readonly log?: Pick<Fence, "database" | "incarnation"> | undefined;
}

export type StepKind = "fold" | "compact" | "sweep" | "join" | "clear";

export interface GcRecord {
  readonly number: number;
  readonly kind: StepKind;
  /** The cycle that it was a step of; 0 for upkeep's own. */
  readonly cycle: number;
  readonly step: number;
  readonly floor: number;
  readonly points: readonly number[];
  readonly checkpoint: number;
  /** Digest of the holders considered. */
  readonly holders: number;
  /** What was removed. */
  readonly versions: number;
  readonly bytes: number;
  /** Sum, modulo 2^32, of `removalHash` of each version; for `clear`, whose blocks go unread, of a hash of their ids. */
  readonly hash: number;
}

export type RunKind = "YOUNG_ONLY" | "YOUNG_AND_MIDDLE" | "FULL_GC";
export type ExecutionStatus = "RUNNING" | "COMPLETED" | "FAILED" | "CANCELLED";

export interface Execution {
  readonly id: number;
  readonly type: string;
  readonly started: number;
  readonly completed?: number;
  readonly status: ExecutionStatus;
  /** Versions looked at, found reclaimable, removed. */
  readonly scanned: number;
  readonly marked: number;
  readonly swept: number;
  readonly bytes: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

const keptRows = 100;
const recordPrefix = "gc/record/";
const executionPrefix = "gc/execution/";
const digits = 12;

const keyOf = (prefix: string, n: number): string => prefix + String(n).padStart(digits, "0");
const rowsOf = (prefix: string): Read => ({ kind: "range", store: "meta", range: under(prefix) });

/** A row of plain data. */
export const putJson = (key: string, value: unknown): Write => putRow(key, (out) => out.text(JSON.stringify(value)));
/** What the rows say that are intact and of this form: upkeep goes on without the others, `verify` tells of them. */
export const jsonIn = <T>(found: Found | undefined, what: string, form: Form<T>): readonly T[] =>
  (found ?? []).flatMap(({ key, value }) => {
    try {
      const told = decoding(() => JSON.parse(openRow(value, String(key), what).text()) as unknown);
      return [checkedForm(told, form, what)];
    } catch (e) {
      if (isTidemarkError(e, "CORRUPT")) return [];
      throw e;
    }
  });

const executionForm = fields<Execution>({
  id: whole,
  type: text,
  started: real,
  completed: optional(real),
  status: oneOf("RUNNING", "COMPLETED", "FAILED", "CANCELLED"),
  scanned: real,
  marked: real,
  swept: real,
  bytes: real,
  config: object,
  error: optional(text),
});
export const readExecutions: Read = rowsOf(executionPrefix);
export const executionsIn = (found: Found | undefined): readonly Execution[] =>
  jsonIn(found, "execution", executionForm);

/** Puts a row and drops the one that is a hundred older. */
function putNumbered(prefix: string, n: number, value: unknown): readonly Write[] {
  const put = putJson(keyOf(prefix, n), value);
  return n > keptRows ? [put, { kind: "delete", store: "meta", key: keyOf(prefix, n - keptRows) }] : [put];
}

export const putExecution = (execution: Execution): readonly Write[] =>
  putNumbered(executionPrefix, execution.id, execution);

const keysUnder = (prefix: string): Read => ({ kind: "keys", store: "meta", range: under(prefix) });
export const readJournal: readonly Read[] = [keysUnder(recordPrefix), keysUnder(executionPrefix)];

/** Numbers records and executions. Only the present tenure writes them, so it need not ask storage each time. */
export class Journal {
  #lastRecord: number;
  #lastExecution: number;

  private constructor(lastRecord: number, lastExecution: number) {
    this.#lastRecord = lastRecord;
    this.#lastExecution = lastExecution;
  }

  /** `found` by `readJournal`. */
  static of([records, executions]: readonly Found[]): Journal {
    return new Journal(lastIn(records, recordPrefix), lastIn(executions, executionPrefix));
  }

  /** The rows for a step that removed something; none where it did not. `written` once they are. */
  record(record: Omit<GcRecord, "number">): { readonly writes: readonly Write[]; written(): void } {
    if (record.versions === 0) return { writes: [], written: () => undefined };
    const number = this.#lastRecord + 1;
    return {
      writes: putNumbered(recordPrefix, number, { number, ...record }),
      written: () => (this.#lastRecord = number),
    };
  }

  nextExecution(): number {
    return ++this.#lastExecution;
  }
}

const lastIn = (found: Found | undefined, prefix: string): number => {
  const last = found?.at(-1)?.key;
  return typeof last === "string" ? Number(last.slice(prefix.length)) : 0;
};

/** What is removed in one step, as its record tells it. */
export class Removal {
  versions = 0;
  bytes = 0;
  hash = 0;
  /** Versions of a key come one after the other. */
  #last: { readonly key: ByteKey; readonly hash: number } | undefined;

  add(key: ByteKey, { seq, payload }: Version): void {
    if (this.#last?.key !== key) this.#last = { key, hash: hashOf(key) };
    this.versions++;
    this.bytes += inlineBytes(key, payload);
    this.hash = (this.hash + removalHash(this.#last.hash, seq)) >>> 0;
  }

  /** Values out of line that go with versions. */
  addOutside(refs: readonly OutsideRef[]): void {
    for (const { sizeBytes } of refs) this.bytes += sizeBytes;
  }

  /** A block that goes unread, with all that is in it. */
  addBlock({ id, count, sizeBytes }: BlockInfo): void {
    this.versions += count;
    this.bytes += sizeBytes;
    this.hash = (this.hash + Math.imul(id >>> 0, 0x9e3779b1)) >>> 0;
  }
}

/** 32 bits of which version it was: the key's hash (segments/filter.ts), mixed with its seq. */
const removalHash = (keyHash: number, at: Seq): number =>
  (Math.imul(keyHash ^ (at >>> 0), 0x9e3779b1) ^ Math.floor(at / 2 ** 32)) >>> 0;
