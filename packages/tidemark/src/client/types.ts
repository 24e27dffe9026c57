/** Types that make a wrong collection, index, path or key type a compile error. */
import type { KeyPath } from "../codec/path.ts";
import type { RetentionPolicy } from "../codec/retention.ts";
import type { StandardSchema } from "./standard.ts";

/** What can be a primary key: IndexedDB's key types. */
export type Key = number | string | Date | ArrayBuffer | ArrayBufferView | readonly Key[];
/** What can be an index key. A missing or undefined field makes no entry. */
export type IndexKey = number | string | boolean | null | Date | ArrayBuffer | ArrayBufferView | readonly IndexKey[];

type Leaf = IndexKey | Map<unknown, unknown> | Set<unknown> | RegExp | bigint | ((...args: never[]) => unknown);
type Depth = [never, 0, 1, 2, 3];

/** Names of fields, and of fields in nested objects with dots, up to four levels. */
export type Path<T, D extends number = 4> = [D] extends [never]
  ? never
  : T extends object
    ? { [F in keyof T & string]: F | Nested<F, NonNullable<T[F]>, Depth[D]> }[keyof T & string]
    : never;
type Nested<F extends string, V, D extends number> = V extends Leaf
  ? never
  : V extends object
    ? `${F}.${Path<V, D>}`
    : never;

export type ValueAt<T, P extends string> = P extends keyof T
  ? T[P]
  : P extends `${infer F}.${infer R}`
    ? F extends keyof T
      ? ValueAt<NonNullable<T[F]>, R>
      : never
    : never;

/** Paths of `T` whose values, where present, are all of type `V`. */
export type PathTo<T, V> = {
  [P in Path<T>]: [NonNullable<ValueAt<T, P>>] extends [never]
    ? never
    : NonNullable<ValueAt<T, P>> extends V
      ? P
      : never;
}[Path<T>];

/** Paths that always hold a key. */
type RequiredPath<T> = { [P in PathTo<T, Key>]: ValueAt<T, P> extends Key ? P : never }[PathTo<T, Key>];

export type PrimaryPath<T> = RequiredPath<T> | readonly [RequiredPath<T>, ...RequiredPath<T>[]];

type SinglePath<T> = PathTo<T, IndexKey>;
type CompoundPath<T> = readonly [SinglePath<T>, ...SinglePath<T>[]];

/** How an index is declared: a path, several, or an object with options. */
export type IndexSpec<T> =
  | SinglePath<T>
  | CompoundPath<T>
  | { readonly path: SinglePath<T> | CompoundPath<T>; readonly unique?: boolean; readonly multi?: false }
  | { readonly path: PathTo<T, readonly IndexKey[]>; readonly multi: true; readonly unique?: boolean };

export type IndexSpecs<T> = Readonly<Record<string, IndexSpec<T>>>;

/** The key at a path, or the tuple of keys at several. */
export type KeyAt<T, P> = P extends string
  ? NonNullable<ValueAt<T, P>>
  : P extends readonly string[]
    ? { readonly [I in keyof P]: P[I] extends string ? NonNullable<ValueAt<T, P[I]>> : never }
    : never;

export type IndexKeyOf<T, I> = I extends { readonly path: infer P; readonly multi: true }
  ? KeyAt<T, P> extends readonly (infer E)[]
    ? E
    : never
  : I extends { readonly path: infer P }
    ? KeyAt<T, P>
    : KeyAt<T, I>;

/** How keys are given to records that have none: as UUIDv7 strings, or by a function. Not with compound keys. */
export type AutoId<T, P> = P extends string
  ? KeyAt<T, P> extends string
    ? true | (() => KeyAt<T, P>)
    : () => KeyAt<T, P>
  : never;

/** `T` with what is at path `P` optional. */
export type OptionalAt<T, P> = T extends unknown
  ? P extends keyof T
    ? Omit<T, P> & { readonly [F in P]?: T[F] | undefined }
    : P extends `${infer F}.${infer R}`
      ? F extends keyof T
        ? Omit<T, F> & { readonly [G in F]: OptionalAt<NonNullable<T[G]>, R> }
        : T
      : T
  : never;

declare const record: unique symbol;
declare const input: unique symbol;

/** A declared collection of records `T` with primary key path `P` and indexes `I`; writes take `In`. */
export interface CollectionDeclaration<T, P, I, In = T> {
  readonly key: P;
  readonly indexes: I;
  readonly retention?: RetentionPolicy;
  /** What records are validated by. */
  readonly schema?: StandardSchema;
  /** How keys are made where a record has none. */
  readonly autoId?: true | (() => unknown);
  /** Carries the record type; never there at run time. */
  readonly [record]?: T;
  /** Carries the type that writes take. */
  readonly [input]?: In;
}

// oxlint-disable-next-line typescript/no-explicit-any -- stands for every declaration, whatever its record type
export type AnyDeclaration = CollectionDeclaration<any, KeyPath, Readonly<Record<string, unknown>>, any>;
export type Declarations = Readonly<Record<string, AnyDeclaration>>;

export type RecordOf<D> = D extends CollectionDeclaration<infer T, unknown, unknown, unknown> ? T : never;
/** What `add` and `put` take: a schema's input, with an optional key where keys are given. */
export type InputOf<D> = D extends CollectionDeclaration<unknown, unknown, unknown, infer In> ? In : never;
export type KeyOf<D> = D extends CollectionDeclaration<infer T, infer P, unknown, unknown> ? KeyAt<T, P> : never;
export type IndexesOf<D> = D extends CollectionDeclaration<unknown, unknown, infer I, unknown> ? I : never;
export type IndexName<D> = keyof IndexesOf<D> & string;
export type IndexKeyFor<D, N extends IndexName<D>> = IndexKeyOf<RecordOf<D>, IndexesOf<D>[N]>;

/** Sets top-level fields; `undefined` removes one. No deep merge. */
export type Patch<T> = { readonly [F in keyof T]?: T[F] | undefined };

/** A version of a record that is still stored. */
export interface RecordVersion<T> {
  /** Of the commit that wrote it. */
  readonly seq: number;
  /** When that was: milliseconds since 1970 × 1024, and a counter below 1024. */
  readonly stamp: number;
  /** Absent where this commit deleted the record. */
  readonly value?: T;
  readonly deleted?: true;
}

export interface ReadOptions {
  /** Aborting makes the call reject with the signal's reason; nothing else happens. */
  readonly signal?: AbortSignal;
}

/** A page of a query's results. */
export interface Page<T> {
  readonly items: T[];
  /** Goes on behind the last item; absent where there are no more. */
  readonly cursor?: string;
}

/** How a query is carried out. */
export interface QueryPlan {
  readonly collection: string;
  /** Absent: the primary key. */
  readonly index: string | undefined;
  /** How many stretches of the index are walked. */
  readonly ranges: number;
  /** How many records lie in them. */
  readonly entries: number;
  /** Whether records are read and then tested in the page. */
  readonly isFiltered: boolean;
  readonly isReverse: boolean;
}

type Comparable = number | string | Date | ArrayBuffer | ArrayBufferView | readonly IndexKey[];

/** On one field: a key that it equals, or operators, all of which hold. Comparisons stay within one kind of key. */
export type Condition<V> =
  | (V extends IndexKey ? V : never)
  | {
      readonly $eq?: V & IndexKey;
      readonly $ne?: (V & IndexKey) | null;
      readonly $in?: readonly (V & IndexKey)[];
      readonly $nin?: readonly ((V & IndexKey) | null)[];
      readonly $gt?: V & Comparable;
      readonly $gte?: V & Comparable;
      readonly $lt?: V & Comparable;
      readonly $lte?: V & Comparable;
      readonly $startsWith?: V extends string ? string : never;
      /** Of an array: an element equals this. */
      readonly $contains?: V extends readonly (infer E)[] ? E & IndexKey : never;
      readonly $containsAny?: V extends readonly (infer E)[] ? readonly (E & IndexKey)[] : never;
      readonly $exists?: boolean;
    };

/** Conditions on fields, by their paths: all of them hold. */
export type Filter<T> = { readonly [P in Path<T>]?: Condition<Exclude<ValueAt<T, P>, undefined>> } & {
  readonly $and?: readonly Filter<T>[];
  readonly $or?: readonly Filter<T>[];
  readonly $not?: Filter<T>;
};

/** A path, "-path" for descending, several of these, or an object as { path: -1 }. */
export type Sort<T> =
  | Path<T>
  | `-${Path<T>}`
  | readonly (Path<T> | `-${Path<T>}`)[]
  | { readonly [P in Path<T>]?: 1 | -1 | "asc" | "desc" };

export interface FindOptions<T> {
  /** By primary key, where nothing is said and no index is used. */
  readonly sort?: Sort<T>;
  readonly limit?: number;
}

/** How `find` is carried out. */
export interface FindPlan extends QueryPlan {
  readonly sortedBy: "index" | "memory" | "nothing";
  /** The ways it chose from, with their entries as far as they were counted. */
  readonly considered: readonly { readonly index: string | undefined; readonly entries: number }[];
}
