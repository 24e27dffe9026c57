/**
 * What transactions were seen to do, from outside. Values are lists that are only ever appended to, and each element is
 * appended once in a history: so a list read tells every write that came before, in order (Kingsbury and Alvaro, "Elle:
 * Inferring Isolation Anomalies from Experimental Observations", VLDB 2020).
 */
export type List = readonly number[];
/** What a range was seen to hold. */
export type Found = readonly (readonly [key: string, list: List])[];

export type Operation =
  /** A key that nobody has appended to has an empty list. */
  | { readonly op: "read"; readonly key: string; readonly list: List }
  /** By primary key: `from` ≤ key < `to`. */
  | { readonly op: "scan"; readonly from: string; readonly to: string; readonly found: Found }
  /** By an index on how long lists are: `from` ≤ length < `to`. Empty ones are not in it. */
  | { readonly op: "lengths"; readonly from: number; readonly to: number; readonly found: Found }
  | { readonly op: "append"; readonly key: string; readonly element: number };

export interface Recorded {
  /** What it was in; what one of these sees never goes back. */
  readonly tab: string;
  readonly invokedAt: number;
  /** When its outcome was heard; of no meaning where it is unknown. */
  readonly completedAt: number;
  readonly outcome: "committed" | "aborted" | "unknown";
  /** It may have read a state from before what other tabs had committed, but not from before its own tab's. */
  readonly isStale?: boolean;
  readonly operations: readonly Operation[];
}

export type History = readonly Recorded[];

/** After Adya, "Weak Consistency: A Generalized Theory and Optimistic Implementations", MIT 1999, and Elle. */
export type Kind =
  /** An element that nobody appended. */
  | "garbage read"
  /** An element twice in one list. */
  | "duplicate"
  /** Two reads of a key of which neither is a beginning of the other. */
  | "incompatible orders"
  /** A transaction that does not see its own appends, or only some. */
  | "internal"
  /** Dirty write: a cycle of writes over writes. */
  | "G0"
  /** Aborted, or dirty, read. */
  | "G1a"
  /** Intermediate read: of some of the appends of another transaction to one key. */
  | "G1b"
  /** Circular information flow. */
  | "G1c"
  /** Two that read the same version of one key, and both append to it. */
  | "lost update"
  /** Read skew: a cycle with one anti-dependency. */
  | "G-single"
  /** Write skew: a cycle with several anti-dependencies, all of single keys. */
  | "G2-item"
  /** The same, of ranges too. */
  | "G2"
  /** Serializable, but against the order in which transactions were seen to end and begin. */
  | "real-time violation";

export interface Anomaly {
  readonly kind: Kind;
  /** Positions in the history. */
  readonly transactions: readonly number[];
  readonly explanation: string;
}
