/** Where a visitor's own records go, as they are, numbered. */
import { collection, createDatabase } from "tidemark";

export const ownName = "tidemark-demo-own";

export interface Numbered {
  readonly n: number;
  readonly value: unknown;
}

export interface Source {
  readonly id: "source";
  readonly name: string;
  readonly format: string;
  readonly bytes: number;
  readonly records: number;
  readonly importMs: number;
}

export const own = createDatabase({
  name: ownName,
  collections: { records: collection<Numbered>()({ key: "n" }), sources: collection<Source>()({ key: "id" }) },
});

/** Removes what was brought. */
export const forget = (): Promise<unknown> =>
  Promise.all([own.collection("records").clear(), own.collection("sources").clear()]);
