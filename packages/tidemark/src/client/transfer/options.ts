import type { DamageReport } from "../../protocol/messages.ts";
import type { TransferFormat } from "./formats.ts";

export interface ExportOptions {
  /**
   * "tidemark" (the default) carries every value exactly and tells damage. "ndjson" is a line of JSON per record, and
   * exact too. "csv" is for spreadsheets: one collection, values as text.
   */
  readonly format?: TransferFormat;
  /** Only this one; lines of ndjson are then the bare records. Needed for csv. */
  readonly collection?: string;
  /** Only these. Default: all that are stored, declared here or not. */
  readonly collections?: readonly string[];
  /** Of csv: which fields. Default: those of the first records; a later record with another field is VALIDATION. */
  readonly columns?: readonly string[];
  /** Aborting makes the stream fail with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ImportOptions {
  /** What the stream holds; default "tidemark". */
  readonly format?: TransferFormat;
  /** Of ndjson whose lines are bare records, and of csv: where they go. */
  readonly collection?: string;
  /** Only these of a stream that says whose its records are; the others are passed over. Default: all. */
  readonly collections?: readonly string[];
  /** What is written instead of each record; `undefined` passes it over. Of csv it is given text values. */
  readonly map?: (record: unknown, collection: string) => object | undefined;
  /** Of a record whose key is taken: "replace" (the default), "skip", or "fail": CONSTRAINT, and its batch is not written. */
  readonly onConflict?: "replace" | "skip" | "fail";
  /** A batch, which is written as a whole or not at all, holds about so many bytes; default 256 KB. */
  readonly batchBytes?: number;
  readonly signal?: AbortSignal;
  /** Called after each batch. */
  readonly progress?: (progress: ImportProgress) => void;
  /** Records of the stream to pass over: `details.resumeAfter` of the error that an import of the same stream ended with. */
  readonly resumeAfter?: number;
}

export interface ImportProgress {
  /** Written by this call. */
  readonly records: number;
  /** Neither written nor to come: their key was taken, or `map` or `collections` passed them over. */
  readonly skipped: number;
  /** Records of the stream that are dealt with, those before `resumeAfter` included. */
  readonly position: number;
}

export interface ImportReport extends ImportProgress {
  /** Written by this call, by collection. */
  readonly collections: Readonly<Record<string, number>>;
  /** Of a stream that `salvage` made: what was damaged in the database, and so is not in the stream. */
  readonly damage?: readonly DamageReport[];
}
