/** What is declared, looked at and in one form, as a database is made of it. */
import { checkPath, type KeyPath } from "../codec/path.ts";
import { isPolicy } from "../codec/retention.ts";
import type { CollectionDefinition, Definition, IndexDefinition } from "../codec/schema.ts";
import { invalid, unknownOption } from "../protocol/options.ts";
import { isStandardSchema } from "./standard.ts";
import type { AnyDeclaration, Declarations } from "./types.ts";

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
  if (!isPolicy(retention)) {
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
