/** What both databases are asked to do. */
import type { Flight } from "../databases.ts";

export type Durability = "relaxed" | "strict";

/** An open database that is empty. */
export interface Racer {
  insertAll(flights: readonly Flight[]): Promise<unknown>;
  put(flight: Flight): Promise<unknown>;
  get(id: number): Promise<Flight | undefined>;
  /** Through an index, in its order. */
  from(airport: string): Promise<Flight[]>;
  close(): Promise<unknown>;
}

export type OpenRacer = (name: string, durability: Durability) => Promise<Racer>;
