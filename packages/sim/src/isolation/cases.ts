/**
 * The anomalies that isolation levels are told apart by: as defined by Adya, "Weak Consistency: A Generalized Theory and
 * Optimistic Implementations for Distributed Transactions" (MIT, 1999), and by Fekete, O'Neil and O'Neil, "A Read-Only
 * Transaction Anomaly Under Snapshot Isolation" (SIGMOD Record, 2004). Which ones to look at is after the list of
 * Hermitage, by Martin Kleppmann. In the scripts whoever was begun first is not always who commits first.
 */
import type { Case } from "./case.ts";
import { dirtyReads, dirtyWrites, vanishing } from "./dirty.ts";
import { lostUpdates, predicates, readSkews, writeSkews } from "./skew.ts";

export const cases: readonly Case[] = [
  ...dirtyWrites,
  ...dirtyReads,
  ...vanishing,
  ...predicates,
  ...lostUpdates,
  ...readSkews,
  ...writeSkews,
];
