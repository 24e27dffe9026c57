/** What crosses between page and worker about the feed of changes. */
import type { ByteKey } from "../base/brand.ts";
import type { Values } from "../codec/values.ts";

/** Where a feed goes on: behind `position`, which lies in the log behind the entry that ends at `seq`. */
export interface FeedCursor {
  readonly position: number;
  /** Of an entry that was read before; absent at first. */
  readonly entry?: { readonly seq: number; readonly checksum: number } | undefined;
}

export type ChangesRequest =
  /** Begins a feed. `after` absent: where the consumer left off; without one, or for a new one, at the head. */
  | {
      readonly op: "changes-open";
      readonly consumer: string | undefined;
      readonly after: number | undefined;
    }
  | {
      readonly op: "changes";
      /** Where there is nothing yet, it is `touched` once there may be. */
      readonly feed: number;
      readonly consumer: string | undefined;
      readonly cursor: FeedCursor;
      /** Of these alone; absent: of all. */
      readonly collections: readonly string[] | undefined;
      /** About so many bytes of values go into one answer, or one commit. */
      readonly maxBytes: number;
    }
  | {
      readonly op: "changes-ack";
      readonly consumer: string;
      readonly position: number;
      readonly durability: "relaxed" | "strict";
    }
  /** Nobody waits for news of it any more. */
  | { readonly op: "changes-end"; readonly feed: number };

/** One change; `key` without its table. Absent: the collection was cleared, or dropped. */
export interface ChangeAnswer {
  readonly collection: string;
  readonly key: ByteKey | undefined;
}

export interface CommitChanges {
  readonly seq: number;
  readonly stamp: number;
  readonly tag: string;
  readonly changes: readonly ChangeAnswer[];
}

export interface ChangesAnswer {
  readonly commits: readonly CommitChanges[];
  /** For each change that has a key, in order: the record before it and the record after. */
  readonly values: Values;
  readonly cursor: FeedCursor;
  /** Nothing more is there yet. */
  readonly isHead: boolean;
}
