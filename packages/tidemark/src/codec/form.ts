/**
 * What plain data must look like to be believed, put together from smaller forms. That a form names all fields of its
 * type is checked; that it demands of each what the type says is not.
 */
import { TidemarkError } from "../base/errors.ts";

export type Form<T = unknown> = (value: unknown) => value is T;

export const text: Form<string> = (value) => typeof value === "string";
export const flag: Form<boolean> = (value) => typeof value === "boolean";
export const real: Form<number> = (value): value is number => typeof value === "number" && !Number.isNaN(value);
export const finite: Form<number> = (value): value is number => Number.isFinite(value);
export const whole: Form<number> = (value): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const bytes: Form<Uint8Array> = (value) => value instanceof Uint8Array;
export const object: Form<object> = (value): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const oneOf =
  <T>(...values: readonly T[]): Form<T> =>
  (value): value is T =>
    values.includes(value as T);
export const optional =
  <T>(of: Form<T>): Form<T | undefined> =>
  (value): value is T | undefined =>
    value === undefined || of(value);
export const either =
  <A, B>(a: Form<A>, b: Form<B>): Form<A | B> =>
  (value): value is A | B =>
    a(value) || b(value);
export const listOf =
  <T>(of: Form<T>): Form<readonly T[]> =>
  (value): value is readonly T[] =>
    Array.isArray(value) && value.every(of);
export const pair =
  <A, B>(a: Form<A>, b: Form<B>): Form<readonly [A, B]> =>
  (value): value is readonly [A, B] =>
    Array.isArray(value) && value.length === 2 && a(value[0]) && b(value[1]);
/** An object whose fields all are of one form, whatever their names. */
export const fieldsOf =
  <T>(of: Form<T>): Form<Readonly<Record<string, T>>> =>
  (value): value is Readonly<Record<string, T>> =>
    object(value) && Object.values(value).every(of);
export const fields =
  <T extends object>(forms: Readonly<Record<keyof T & string, Form>>): Form<T> =>
  (value): value is T =>
    object(value) && Object.entries<Form>(forms).every(([name, of]) => of(ownField(value, name)));

const ownField = (of: object, name: string): unknown =>
  Object.hasOwn(of, name) ? (of as Readonly<Record<string, unknown>>)[name] : undefined;

/** @throws CORRUPT where a value that was stored is not of the form */
export function checkedForm<T>(value: unknown, form: Form<T>, what: string): T {
  if (form(value)) return value;
  throw new TidemarkError("CORRUPT", `A stored ${what} does not say what it must`, { what });
}
