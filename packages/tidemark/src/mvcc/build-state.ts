/**
 * How far the building of a collection's new indexes is: a record of system table 0 for each collection that has any, in
 * the same commit as the records that it counts as done. So whoever dies leaves it where the next one goes on, and of two
 * who build at once one finds it changed.
 *
 * Such a commit writes records again with further index keys, and no value changes by it: it concerns nobody who read
 * them, so it touches nothing but this record.
 */
import { type ByteKey, byteKey, type TableId, tableId } from "../base/brand.ts";
import { assert } from "../base/errors.ts";
import { ByteWriter } from "../base/bytes.ts";
import { checkedForm, fields, listOf, optional, text, whole } from "../codec/form.ts";
import { encodeKey, tuplePrefix } from "../codec/key.ts";
import { recordValue, tablePrefix, writeRecordHead } from "../codec/record.ts";
import { decodeValue, encodeValue } from "../codec/value.ts";

export interface BuildState {
  /** Tables of the indexes that are being built, ascending: with others it begins anew. */
  readonly indexes: readonly TableId[];
  /** The last record that is done; absent before the first. The last step leaves no state behind. */
  readonly after?: ByteKey;
  /** So many records were looked at, … */
  readonly done: number;
  /** … of about so many. */
  readonly total: number;
}

const prefix = byteKey(tablePrefix(tableId(0)) + tuplePrefix(["build"], "build"));

/** `records`: the table of the collection's records. */
export const buildKey = (records: TableId): ByteKey =>
  byteKey(tablePrefix(tableId(0)) + encodeKey(["build", records], "build"));

const isBuildKey = (key: ByteKey): boolean => key.startsWith(prefix);

const form = fields<BuildState>({ indexes: listOf(whole), after: optional(text), done: whole, total: whole });

export function encodeBuildState(state: BuildState): Uint8Array<ArrayBuffer> {
  assert(form(state), "the state of a build is one"); // else nobody could go on from it
  const out = new ByteWriter();
  writeRecordHead(out, []);
  encodeValue(state, out, "build");
  return out.finish();
}

/** @throws CORRUPT */
export const decodeBuildState = (payload: Uint8Array): BuildState =>
  checkedForm(decodeValue(recordValue(payload)), form, "state of a build");

interface Written {
  readonly key: ByteKey;
  readonly payload: Uint8Array | undefined;
}

/** The write that says how far a build is, in a commit of one: it is in every such commit, and in no other. */
export const buildWriteIn = ({ writes }: { readonly writes: readonly Written[] }): Written | undefined =>
  writes.find(({ key }) => isBuildKey(key));
