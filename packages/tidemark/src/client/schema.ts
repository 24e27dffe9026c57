/** By which schema calls name tables: the catalog that the worker has for what they read, or as good as known. */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Catalog, StoredCollection } from "../codec/schema.ts";
import type { Connection } from "./connection.ts";

/** Part of a call that names tables by `schema`. Where they turn out to be by another one, it runs again. */
export type SchemaStep<T> = (schema: Catalog) => Promise<T>;

/** @throws UNKNOWN_NAME where there is none: declared, it was dropped by a newer program. */
export function collectionIn({ collections }: Catalog, name: string): StoredCollection {
  if (Object.hasOwn(collections, name)) return collections[name]!;
  throw new TidemarkError("UNKNOWN_NAME", `There is no collection '${name}' (any more)`, { collection: name });
}

export function isSchemaChange(e: unknown): boolean {
  return isTidemarkError(e, "CONFLICT") && e.details["by"] === "schema";
}

/**
 * The schema of a view or transaction: the one that the page knew when it opened it, until the worker says that it is
 * another one; and the transaction's own once it has cleared something.
 */
export class HandleSchema {
  readonly #connection: Connection;
  readonly #handle: number;
  #catalog: Catalog;

  constructor(connection: Connection, handle: number, catalog: Catalog) {
    this.#connection = connection;
    this.#handle = handle;
    this.#catalog = catalog;
  }

  use(catalog: Catalog): void {
    this.#catalog = catalog;
  }

  /** `repeat` runs what has to be done once more. */
  async under<T>(step: SchemaStep<T>, repeat: (work: () => Promise<T>) => Promise<T>): Promise<T> {
    const known = this.#catalog;
    try {
      return await step(known);
    } catch (e) {
      // A name that the page does not know any more may have been there at the view's seq.
      if (!isSchemaChange(e) && !isTidemarkError(e, "UNKNOWN_NAME")) throw e;
      return repeat(async () => {
        this.#catalog = await this.#connection.call<"catalog">({ op: "catalog", handle: this.#handle });
        if (this.#catalog.epoch === known.epoch) throw e;
        return step(this.#catalog);
      });
    }
  }
}
