import type { RetentionPolicy } from "../codec/retention.ts";
import { invalid, unknownOption } from "../protocol/options.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./standard.ts";
import type { AutoId, CollectionDeclaration, IndexSpecs, OptionalAt, PrimaryPath } from "./types.ts";

// oxlint-disable-next-line typescript/no-generated-empty-object-type -- empty is what is meant: no index name compiles
type NoIndexes = Record<never, never>;

export interface CollectionOptions<P, I, A> {
  /** Path of the primary key, or several for a compound one. */
  readonly key: P;
  readonly indexes?: I;
  /**
   * Gives records a key that are written without: `true` a UUIDv7 string, each greater than the one before within a tab;
   * or a function that makes it. Not with a compound key.
   */
  readonly autoId?: A;
  /**
   * Which superseded versions of its records stay, for `history`, beyond what views and snapshots keep. It is stored
   * with the data: left out, the stored one stays in force; `RetentionPolicy.union()` of nothing keeps none.
   */
  readonly retention?: RetentionPolicy;
}

type Input<T, P, A> = [A] extends [undefined] ? T : OptionalAt<T, P>;

/**
 * Declares a collection of records `T`:
 *
 *     notes: collection<Note>()({ key: "id", indexes: { byDate: "updatedAt" } })
 *
 * or by a Standard Schema (zod, valibot, arktype, …): writes take its input, are validated in the page, and store its
 * output, which reads give. It may be asynchronous, and has to accept its own output: that is what `update` and
 * `upsert` hand it.
 *
 *     notes: collection({ schema: noteSchema, key: "id" })
 */
export function collection<T extends object>(): <
  const P extends PrimaryPath<T>,
  const I extends IndexSpecs<T> = NoIndexes,
  const A extends AutoId<T, P> | undefined = undefined,
>(
  options: CollectionOptions<P, I, A>,
) => CollectionDeclaration<T, P, I, Input<T, P, A>>;
export function collection<
  S extends StandardSchema,
  const P extends PrimaryPath<SchemaOutput<S>>,
  const I extends IndexSpecs<SchemaOutput<S>> = NoIndexes,
  const A extends AutoId<SchemaOutput<S>, P> | undefined = undefined,
>(
  options: CollectionOptions<P, I, A> & { readonly schema: S },
): CollectionDeclaration<SchemaOutput<S>, P, I, Input<SchemaInput<S>, P, A>>;
export function collection(options?: object): unknown {
  return options === undefined ? declarationOf : declarationOf(options);
}

const collectionOptions = ["key", "indexes", "retention", "schema", "autoId"];

function declarationOf(options: object): object {
  if (typeof options !== "object" || options === null) throw invalid("collection", options, "an object");
  for (const option of Object.keys(options)) {
    if (!collectionOptions.includes(option)) throw unknownOption("A collection", option, collectionOptions);
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { indexes: {}, ...Object.fromEntries(given) };
}
