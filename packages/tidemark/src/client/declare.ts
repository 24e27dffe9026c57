import { checkPath, type KeyPath } from "../codec/path.ts";
import { RetentionPolicy } from "../codec/retention.ts";
import type { CollectionDefinition, Definition, IndexDefinition } from "../codec/schema.ts";
import { invalid } from "../protocol/options.ts";
import type { AnyDeclaration, CollectionDeclaration, Declarations, IndexSpecs, PrimaryPath } from "./types.ts";

// oxlint-disable-next-line typescript/no-generated-empty-object-type -- empty is what is meant: no index name compiles
type NoIndexes = Record<never, never>;

interface CollectionOptions<P, I> {
  /** Path of the primary key, or several for a compound one. */
  readonly key: P;
  readonly indexes?: I;
  /**
   * Which superseded versions of its records stay, for `history`, beyond what views and snapshots keep. It is stored
   * with the data: left out, the stored one stays in force; `RetentionPolicy.union()` of nothing keeps none.
   */
  readonly retention?: RetentionPolicy;
}

/**
 * Declares a collection of records `T`:
 *
 *     notes: collection<Note>()({ key: "id", indexes: { byDate: "updatedAt" } })
 */
export function collection<T extends object>(): <
  const P extends PrimaryPath<T>,
  const I extends IndexSpecs<T> = NoIndexes,
>(
  options: CollectionOptions<P, I>,
) => CollectionDeclaration<T, P, I> {
  return (options) => ({
    key: options.key,
    indexes: options.indexes ?? ({} as NonNullable<typeof options.indexes>),
    ...(options.retention === undefined ? {} : { retention: options.retention }),
  });
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
  const { key, indexes = {}, retention } = declared as { key?: unknown; indexes?: unknown; retention?: unknown };
  checkPath(key, `${where}.key`);
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
  if (unknown !== undefined) throw invalid(`${where}.${unknown}`, rest[unknown], "one of path, unique, multi");
  if (typeof unique !== "boolean") throw invalid(`${where}.unique`, unique, "true or false");
  if (typeof multi !== "boolean") throw invalid(`${where}.multi`, multi, "true or false");
  return { path: pathAt(path, `${where}.path`, multi), unique, multi };
}

function pathAt(path: unknown, where: string, multi = false): KeyPath {
  checkPath(path, where, multi);
  return path;
}
