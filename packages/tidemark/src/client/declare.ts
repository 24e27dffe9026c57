import { checkPath, type KeyPath } from "../codec/path.ts";
import { RetentionPolicy } from "../codec/retention.ts";
import type { CollectionDefinition, Definition, IndexDefinition } from "../codec/schema.ts";
import { invalid, unknownOption } from "../protocol/options.ts";
import { isStandardSchema, type SchemaInput, type SchemaOutput, type StandardSchema } from "./standard.ts";
import type {
  AnyDeclaration,
  AutoId,
  CollectionDeclaration,
  Declarations,
  IndexSpecs,
  OptionalAt,
  PrimaryPath,
} from "./types.ts";

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

/** @throws OPTIONS_INVALID naming the option. */
export function definitionOf(
  version: number,
  collections: Declarations,
  dropCollections: readonly string[] = [],
): Definition {
  if (!Number.isSafeInteger(version) || version < 1) throw invalid("version", version, "a whole number from 1 up");
  if (typeof collections !== "object" || collections === null) throw invalid("collections", collections, "an object");
  const checked: Record<string, CollectionDefinition> = {};
  for (const [name, declared] of Object.entries(collections)) checked[name] = checkCollection(name, declared);
  return { version, collections: checked, dropCollections: checkDropped(dropCollections, checked) };
}

/** The versions that there are migrations to, ascending. @throws OPTIONS_INVALID */
export function migrationVersions(migrations: unknown, version: number): readonly number[] {
  if (typeof migrations !== "object" || migrations === null) throw invalid("migrations", migrations, "an object");
  const versions = Object.entries(migrations).map(([to, migrate]: [string, unknown]) => {
    const n = Number(to);
    const expected = `under a version from 2 to ${version}, the one declared`;
    if (!Number.isSafeInteger(n) || n < 2 || n > version) throw invalid(`migrations.${to}`, n, expected);
    const { collection: of, each } = (migrate ?? {}) as { collection?: unknown; each?: unknown };
    if (typeof migrate !== "function" && !(typeof of === "string" && typeof each === "function")) {
      throw invalid(`migrations.${to}`, migrate, "a function of a transaction, or { collection, each }");
    }
    return n;
  });
  return versions.toSorted((a, b) => a - b);
}

function checkDropped(names: readonly unknown[], declared: Definition["collections"]): readonly string[] {
  const option = "dropCollections";
  if (!Array.isArray(names)) throw invalid(option, names, "a list of names");
  return names.map((name: unknown) => {
    if (typeof name !== "string") throw invalid(option, name, "a list of names");
    if (Object.hasOwn(declared, name)) throw invalid(option, name, "names of collections that are not declared too");
    return name;
  });
}

function checkCollection(name: string, declared: unknown): CollectionDefinition {
  const where = `collections.${name}`;
  checkOwnName(name, where);
  if (name.startsWith("$")) throw invalid(where, name, "a name that begins without $");
  if (typeof declared !== "object" || declared === null) throw invalid(where, declared, "made by collection()");
  const { key, indexes = {}, retention, schema, autoId } = declared as Partial<Record<string, unknown>>;
  checkPath(key, `${where}.key`);
  if (schema !== undefined && !isStandardSchema(schema)) {
    throw invalid(`${where}.schema`, schema, "a Standard Schema, as zod, valibot and others make it");
  }
  checkAutoId(autoId, key, `${where}.autoId`);
  if (typeof indexes !== "object" || indexes === null) throw invalid(`${where}.indexes`, indexes, "an object");
  const checked: Record<string, IndexDefinition> = {};
  for (const [index, spec] of Object.entries(indexes)) {
    checkOwnName(index, `${where}.indexes.${index}`);
    checked[index] = checkIndex(`${where}.indexes.${index}`, spec);
  }
  if (retention === undefined) return { key, indexes: checked };
  if (!(retention instanceof RetentionPolicy)) {
    throw invalid(`${where}.retention`, retention, "a RetentionPolicy, as RetentionPolicy.keepLatestN(5) makes it");
  }
  return { key, indexes: checked, retention: retention.retention };
}

function checkAutoId(autoId: unknown, key: KeyPath, where: string): void {
  if (autoId === undefined) return;
  if (autoId !== true && typeof autoId !== "function")
    throw invalid(where, autoId, "true or a function that makes a key");
  if (typeof key !== "string") throw invalid(where, autoId, "left out where the key is compound");
}
/** A declaration's key and indexes in one form. It was checked as the database was made. */
export function indexedBy(declaration: AnyDeclaration): Pick<CollectionDefinition, "key" | "indexes"> {
  const known = normalized.get(declaration);
  if (known) return known;
  const made = checkCollection("declared", declaration);
  normalized.set(declaration, made);
  return made;
}
const normalized = new WeakMap<AnyDeclaration, CollectionDefinition>();

/** An object cannot hold `__proto__` as it holds other names. */
function checkOwnName(name: string, where: string): void {
  if (name === "" || name === "__proto__") throw invalid(where, name, "a name that is not empty and not __proto__");
}

function checkIndex(where: string, spec: unknown): IndexDefinition {
  if (typeof spec === "string" || Array.isArray(spec))
    return { path: pathAt(spec, where), unique: false, multi: false };
  if (typeof spec !== "object" || spec === null) throw invalid(where, spec, "a path, a list of paths or an object");
  const { path, unique = false, multi = false, ...rest } = spec as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw unknownOption(`Index ${where}`, unknown, ["path", "unique", "multi"]);
  if (typeof unique !== "boolean") throw invalid(`${where}.unique`, unique, "true or false");
  if (typeof multi !== "boolean") throw invalid(`${where}.multi`, multi, "true or false");
  return { path: pathAt(path, `${where}.path`, multi), unique, multi };
}

function pathAt(path: unknown, where: string, multi = false): KeyPath {
  checkPath(path, where, multi);
  return path;
}
