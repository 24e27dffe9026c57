/** Records on their way in: given a key where they have none, and validated by the collection's schema. */
import { TidemarkError } from "../base/errors.ts";
import { object } from "../codec/form.ts";
import { readPath } from "../codec/path.ts";
import { newId } from "./auto-id.ts";
import { snapshotOf } from "./records.ts";
import type { StandardIssue, StandardSchema } from "./standard.ts";
import type { AnyDeclaration } from "./types.ts";

/** Schemas whose last answer was there at once: what they are given need not be kept from changing. */
const synchronous = new WeakSet<StandardSchema>();

type Result = Awaited<ReturnType<StandardSchema["~standard"]["validate"]>>;

interface Issue {
  readonly message: string;
  readonly path: readonly (string | number)[];
}

export class Incoming {
  readonly #collection: string;
  readonly #declaration: AnyDeclaration;

  constructor(collection: string, declaration: AnyDeclaration) {
    this.#collection = collection;
    this.#declaration = declaration;
  }

  /**
   * What is to be written for these, which are not changed: at once, unless the validator takes its time.
   * @throws VALIDATION listing every refused position, or rejects with it
   */
  take(values: readonly unknown[]): readonly unknown[] | Promise<readonly unknown[]> {
    const { schema, autoId } = this.#declaration;
    const keyed = autoId === undefined ? values : values.map((v) => this.#withKey(v, autoId));
    if (!schema) return keyed;
    const results = keyed.map((v) => validated(schema, v, this.#collection));
    if (!results.some((r) => r instanceof Promise)) return this.#outputs(keyed, results as readonly Result[]);
    return Promise.all(results.map(async (r) => r)).then((all) => this.#outputs(keyed, all));
  }

  /** The record with this key, where its collection gives keys and it has none. */
  withOwnKey(record: unknown, key: unknown): unknown {
    return this.#declaration.autoId === undefined ? record : this.#withKey(record, () => key);
  }

  #withKey(value: unknown, autoId: true | (() => unknown)): unknown {
    const { key } = this.#declaration;
    // What is no record is refused as such; a compound key was refused when it was declared.
    if (typeof value !== "object" || value === null || typeof key !== "string") return value;
    if (readPath(value, key) !== undefined) return value;
    return withValueAt(value, key.split("."), autoId === true ? newId() : autoId());
  }

  #outputs(values: readonly unknown[], results: readonly Result[]): readonly unknown[] {
    const failures = results.flatMap((result, position) => {
      if (!result.issues) return [];
      const issues = result.issues.map(issueOf);
      return [
        { position, key: keyShown(values[position], this.#declaration.key), code: "VALIDATION" as const, issues },
      ];
    });
    if (failures.length > 0) throw this.#refusal(failures, values.length);
    return results.map((r) => (r as { readonly value: unknown }).value);
  }

  #refusal(failures: readonly { readonly position: number; readonly issues: readonly Issue[] }[], of: number): Error {
    const [{ position, issues }] = failures as [(typeof failures)[number]];
    const [issue] = issues;
    const path = issue?.path.join(".") ?? "";
    const where = of === 1 ? this.#collection : `${this.#collection}[${position}]`;
    const why = `${path === "" ? "" : `${path}: `}${issue?.message ?? "the schema refused it"}`;
    const further = failures.reduce((n, f) => n + Math.max(1, f.issues.length), -1);
    return new TidemarkError(
      "VALIDATION",
      `A record for ${where} is not valid: ${why}${further > 0 ? ` (and ${further} more)` : ""}`,
      { collection: this.#collection, path, issues, failures },
    );
  }
}

function validated(schema: StandardSchema, value: unknown, where: string): Result | Promise<Result> {
  const result: unknown = schema["~standard"].validate(synchronous.has(schema) ? value : asItIsNow(value, where));
  if (isThenable(result)) {
    synchronous.delete(schema);
    const checked = Promise.resolve(result).then((settled) => checkedResult(settled, where));
    checked.catch(() => undefined); // told to whoever awaits it
    return checked;
  }
  synchronous.add(schema);
  return checkedResult(result, where);
}

/** @throws VALIDATION for what no Standard Schema answers: then nobody can say whether the record is valid */
function checkedResult(result: unknown, where: string): Result {
  const { issues } = object(result) ? (result as { readonly issues?: unknown }) : { issues: false };
  if (issues === undefined || (Array.isArray(issues) && issues.every(object))) return result as Result;
  throw new TidemarkError("VALIDATION", `The schema of ${where} answers neither a value nor issues`, {
    collection: where,
  });
}

/** A copy of plain data; what a validator is yet to make such from is handed over itself. */
function asItIsNow(value: unknown, where: string): unknown {
  try {
    return snapshotOf(value, where);
  } catch {
    return value;
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";

function withValueAt(value: object, [field, ...rest]: readonly string[], key: unknown): object {
  const inner: unknown = (value as Record<string, unknown>)[field!];
  const base = typeof inner === "object" && inner !== null ? inner : {};
  return { ...value, [field!]: rest.length === 0 ? key : withValueAt(base, rest, key) };
}

/** As plain data. */
function issueOf({ message, path }: Partial<Record<keyof StandardIssue, unknown>>): Issue {
  const steps = Array.isArray(path)
    ? path.map((step: unknown) => (object(step) && "key" in step ? step.key : step))
    : [];
  return { message: String(message), path: steps.map((step) => (typeof step === "number" ? step : String(step))) };
}

/** What the record has as its key, if that can be told. */
function keyShown(record: unknown, path: AnyDeclaration["key"]): unknown {
  const parts = (typeof path === "string" ? [path] : path).map((part) => {
    const key = readPath(record, part);
    return typeof key === "string" || typeof key === "number" || key instanceof Date ? key : undefined;
  });
  return typeof path === "string" ? parts[0] : parts;
}
