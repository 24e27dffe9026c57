/** Commits of the engine's own long work, step by step: of building indexes, and of a migration. */
import type { Write } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import type { Handle } from "../mvcc/handles.ts";
import { ReadSet } from "../mvcc/read-set.ts";
import { catalogKey, encodeCatalog, nextEpoch, Schema } from "../mvcc/schema.ts";
import type { Durability } from "../storage/contract.ts";
import type { Database } from "./database.ts";

export interface OwnCommit {
  readonly writes: readonly Write[];
  readonly tag: string;
  readonly durability: Durability;
  /** What the catalog is from then on; absent: it stays as it is. */
  readonly becomes?: Omit<Catalog, "epoch"> | undefined;
}

/** Commits what was made of what `handle` reads. @throws CONFLICT where somebody came in between */
export async function commitOwn(database: Database, handle: Handle, own: OwnCommit): Promise<void> {
  const { becomes, tag, durability } = own;
  const { seq, isolation, incarnation, schema } = handle;
  const writes = [...own.writes];
  let brings: Schema | undefined;
  if (becomes) {
    const catalog: Catalog = { ...becomes, epoch: nextEpoch(schema.catalog, incarnation) };
    brings = new Schema(catalog);
    writes.push({ kind: "put", key: catalogKey, payload: encodeCatalog(catalog) });
  }
  const basis = { seq, isolation, incarnation, reads: new ReadSet() };
  await database.commitOwn({ writes, durability, tag, basis, schemaEpoch: schema.epoch, brings });
}
