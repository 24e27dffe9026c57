/** What the inspector asks of a database. Any `Database` of tidemark is one. */
import type { DatabaseStorage, Diagnostics, Gc, RecordVersion, SnapshotReport } from "tidemark";

export interface InspectedQuery {
  above(key: unknown): InspectedQuery;
  below(key: unknown): InspectedQuery;
  reverse(): InspectedQuery;
  offset(n: number): InspectedQuery;
  limit(n: number): InspectedQuery;
  count(options?: { readonly signal?: AbortSignal }): Promise<number>;
  toArray(options?: { readonly signal?: AbortSignal }): Promise<unknown[]>;
}

export interface InspectedCollection {
  readonly keyPath: string | readonly string[];
  where(): InspectedQuery;
  history(key: unknown, options?: { readonly signal?: AbortSignal }): Promise<RecordVersion<unknown>[]>;
}

export interface InspectedDatabase {
  readonly name: string;
  readonly storage: Pick<DatabaseStorage, "metrics">;
  readonly gc: Pick<Gc, "explain" | "evict" | "executions" | "advances" | "subscribe" | "run" | "start" | "proofs">;
  readonly snapshots: { delete(name: string): Promise<void>; list(): Promise<readonly SnapshotReport[]> };
  /** @throws UNKNOWN_NAME for a collection that this page does not declare */
  collection(name: string): InspectedCollection;
  checkpoint(): Promise<void>;
  diagnostics(): Diagnostics;
}
