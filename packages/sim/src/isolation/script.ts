/** Transactions step by step, interleaved as a script says. Data only, so that it can be played in a page as well. */
export interface Item {
  readonly id: string;
  /** Indexed. */
  readonly n: number;
  /** Unique. */
  readonly slug?: string;
}

export type Read =
  | { readonly do: "get"; readonly id: string }
  /** By the index: `from` ≤ n < `to`. */
  | { readonly do: "range"; readonly from: number; readonly to: number };

export type Write =
  | { readonly do: "put"; readonly item: Item }
  /** Refused with CONSTRAINT where the key is taken. */
  | { readonly do: "add"; readonly item: Item }
  | { readonly do: "delete"; readonly id: string }
  | { readonly do: "clear" }
  | { readonly do: "deleteRange"; readonly from: number; readonly to: number }
  /** Adds to `n` of what is in the range. */
  | { readonly do: "updateRange"; readonly from: number; readonly to: number; readonly by: number };

export type Action = Read | Write;
export const isRead = (action: Action): action is Read => action.do === "get" || action.do === "range";

export type Name = "T1" | "T2" | "T3";

export interface Step {
  readonly who: Name;
  /** A transaction begins with its first action. */
  readonly what: Action | "commit" | "rollback";
}

/** What a transaction read, in order: `n` of a key, or undefined; `id=n` of each item in a range. */
export type Answer = number | undefined | readonly string[];

export interface Ended {
  /** Of the run that counted. */
  readonly answers: readonly Answer[];
  /** How often its body ran. */
  readonly runs: number;
  /** Why it did not commit: the code of an error, or "rolled back". */
  readonly failed?: string;
}

export interface Outcome {
  readonly ended: { readonly [who in Name]?: Ended };
  /** What there is after all of them, by id. */
  readonly items: { readonly [id: string]: Item };
}

export const answerOf = (item: Item | undefined): Answer => item?.n;
export const answerOfRange = (items: readonly Item[]): Answer => items.map(({ id, n }) => `${id}=${n}`);

interface Writer {
  readonly gets: (id: string) => Step;
  readonly ranges: (from: number, to: number) => Step;
  readonly puts: (id: string, n: number, slug?: string) => Step;
  readonly adds: (id: string, n: number) => Step;
  readonly deletes: (id: string) => Step;
  readonly clears: () => Step;
  readonly deletesRange: (from: number, to: number) => Step;
  readonly updatesRange: (from: number, to: number, by: number) => Step;
  readonly commits: () => Step;
  readonly rollsBack: () => Step;
}

/** Steps of one transaction, as they are written down. */
const stepsOf = (who: Name): Writer => ({
  gets: (id) => ({ who, what: { do: "get", id } }),
  ranges: (from, to) => ({ who, what: { do: "range", from, to } }),
  puts: (id, n, slug) => ({ who, what: { do: "put", item: { id, n, ...(slug === undefined ? {} : { slug }) } } }),
  adds: (id, n) => ({ who, what: { do: "add", item: { id, n } } }),
  deletes: (id) => ({ who, what: { do: "delete", id } }),
  clears: () => ({ who, what: { do: "clear" } }),
  deletesRange: (from, to) => ({ who, what: { do: "deleteRange", from, to } }),
  updatesRange: (from, to, by) => ({ who, what: { do: "updateRange", from, to, by } }),
  commits: () => ({ who, what: "commit" }),
  rollsBack: () => ({ who, what: "rollback" }),
});

export const [T1, T2, T3]: readonly [Writer, Writer, Writer] = [stepsOf("T1"), stepsOf("T2"), stepsOf("T3")];
