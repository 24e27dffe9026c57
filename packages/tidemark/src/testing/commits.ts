/** What a commit wrote, in the terms of a program: for models that follow the log. */
import type { KeyValue } from "../codec/key.ts";
import { byteKey } from "../base/brand.ts";
import { msOf } from "../base/clock.ts";
import { decodeKey } from "../codec/key.ts";
import { type OutsideRef, outsideIn } from "../codec/outside.ts";
import { recordValue, tableOf, tablePrefixBytes } from "../codec/record.ts";
import { decodeValue } from "../codec/value.ts";
import { catalogKey, decodeCatalog, systemTable } from "../mvcc/schema.ts";
import type { LogEntry, LoggedWrite } from "../wal/entry.ts";

export interface SeenWrite {
  /** Of a collection, or of one to be: the catalog that stands at a seq tells. */
  readonly table: number;
  readonly key: KeyValue;
  /** `undefined`: the key is gone from here on. */
  readonly value: unknown;
}

export interface SeenCommit {
  readonly seq: number;
  readonly madeMs: number;
  readonly tag: string;
  /** Whether it wrote anything of the engine's own, as the schema, the floor, or how far an index is built. */
  readonly isSystem: boolean;
  /** In the order of the commit, without the engine's own. */
  readonly writes: readonly SeenWrite[];
  /** Where it changed the schema: the table of each collection from here on, and the data version. */
  readonly schema?: { readonly version: number; readonly tables: Readonly<Record<string, number>> };
}

/** The commits of an entry that is whole. `outside` reads a value out of line, which is stored by then. */
export function commitsIn(entry: LogEntry, outside: (ref: OutsideRef) => Uint8Array | undefined): SeenCommit[] {
  return entry.commits.map(({ seq, stamp, tag, writes }) => {
    const catalog = writes.find(({ key }) => key === catalogKey);
    return {
      seq,
      madeMs: msOf(stamp),
      tag,
      isSystem: writes.some(({ key }) => tableOf(key) === systemTable),
      writes: writes.filter(({ key }) => tableOf(key) !== systemTable).map((write) => seen(write, outside)),
      ...(catalog ? { schema: schemaIn(catalog) } : {}),
    };
  });
}

function seen({ key, payload }: LoggedWrite, outside: (ref: OutsideRef) => Uint8Array | undefined): SeenWrite {
  const at = { table: tableOf(key), key: decodeKey(byteKey(key.slice(tablePrefixBytes))) };
  if (payload === undefined) return { ...at, value: undefined };
  const inline = recordValue(payload);
  const ref = outsideIn(inline);
  return { ...at, value: decodeValue((ref && outside(ref)) ?? inline) };
}

function schemaIn({ payload }: LoggedWrite): NonNullable<SeenCommit["schema"]> {
  const { version, collections } = decodeCatalog(payload);
  const tables = Object.entries(collections).map(([name, { table }]) => [name, table] as const);
  return { version, tables: Object.fromEntries(tables) };
}
