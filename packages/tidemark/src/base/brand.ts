/**
 * Branded identities. A seq, a stamp and a block id are all numbers; branding keeps one from standing in for another.
 */
declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Dense, strictly rising number of a commit in one database. The first commit has seq 1; 0 is "before all". */
export type Seq = Brand<number, "Seq">;
/** Hybrid logical clock reading of a commit, packed: milliseconds since 1970 × 1024 + counter. */
export type Stamp = Brand<number, "Stamp">;
/** Number of a table: a collection's records, or one index. */
export type TableId = Brand<number, "TableId">;
/** Number of an immutable block. Never reused. */
export type BlockId = Brand<number, "BlockId">;
/** Fencing number of an upkeep tenure; strictly rising in one database. */
export type UpkeepEpoch = Brand<number, "UpkeepEpoch">;
/** Random identity of one running engine (one tab's worker). */
export type TabId = Brand<string, "TabId">;
/**
 * A key as a byte string: each UTF-16 unit of the JS string is one byte (0–255). Held as a string because its
 * comparison and hash are then the JS engine's own; `<` on two of them is the order of the keys.
 */
export type ByteKey = Brand<string, "ByteKey">;

export const seq = (n: number): Seq => n as Seq;
export const stamp = (n: number): Stamp => n as Stamp;
export const tableId = (n: number): TableId => n as TableId;
export const blockId = (n: number): BlockId => n as BlockId;
export const upkeepEpoch = (n: number): UpkeepEpoch => n as UpkeepEpoch;
export const tabId = (s: string): TabId => s as TabId;
export const byteKey = (s: string): ByteKey => s as ByteKey;
