/** What the page and a tab that writes tell each other. */

export type WriterRequest =
  /** Empties the collection. */
  | { readonly op: "clear" }
  /** Writes one record after the other, each when the one before is acknowledged. */
  | { readonly op: "write" }
  | { readonly op: "stop" }
  /** Answers a `Found`: what this tab reads of another one's writes. */
  | { readonly op: "find"; readonly tab: string };

export interface Found {
  readonly count: number;
  /** Numbers from 0 to the highest found that are not there. */
  readonly missing: number;
}

export interface WriterStatus {
  /** How many of its own writes it was told are stored. */
  readonly acknowledged: number;
  /** The longest it waited between two of those answers. */
  readonly longestGapMs: number;
  readonly upkeep: boolean;
}

export type WriterEvent =
  | { readonly event: "ready" }
  /** Said for each write, as soon as it is acknowledged. */
  | { readonly event: "acknowledged"; readonly count: number }
  | ({ readonly event: "status" } & WriterStatus)
  /** The number of the newest write of another tab that it has read. */
  | { readonly event: "read"; readonly tab: string; readonly n: number }
  | { readonly event: "failed"; readonly message: string };
