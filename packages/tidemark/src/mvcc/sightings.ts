/**
 * What a scan sees in one extent: the sources merged, key by key, the newest version that is old enough deciding. Nearly
 * always one block alone says it all; then it is taken as it lies.
 */
import type { ByteKey, Seq } from "../base/brand.ts";
import type { Block } from "../segments/block.ts";
import { newest } from "../segments/internal-key.ts";
import type { Version } from "../segments/version.ts";
import type { Memtable } from "./memtable.ts";
import type { Range } from "./read-set.ts";

/** Where a scan stands; good only during the call that it is handed to. */
export interface Place {
  readonly key: ByteKey;
  readonly seq: Seq;
}
/** Gets what is there, in order; false ends the scan. */
export type Visit = (at: Place, payload: Uint8Array) => boolean;

/** A version as seen in passing; `undefined` where the source has none that is old enough. */
export interface Sighting {
  readonly key: ByteKey;
  readonly version: Version | undefined;
}

export interface Sources {
  readonly range: Range;
  readonly at: Seq;
  readonly reverse: boolean;
  /** A transaction's own writes: seen at any seq. */
  readonly overlay: Memtable | undefined;
  readonly memtable: Memtable;
  /** A key that was looked up by itself. */
  readonly border: Sighting | undefined;
  /** Of the uppermost level first. */
  readonly blocks: readonly Block[];
}

/** What the sources hold of the range, one sighting a key: by the first of them that has a version old enough. */
export function sightings(sources: Sources): Iterator<Sighting, void> {
  const { range, at, reverse, overlay, memtable, border, blocks } = sources;
  const { from, to } = range;
  const all: Iterator<Sighting, void>[] = [];
  if (overlay) all.push(inMemtable(overlay, from, to, newest, reverse));
  all.push(inMemtable(memtable, from, to, at, reverse));
  if (border) all.push([border][Symbol.iterator]() as Iterator<Sighting, void>);
  for (const block of blocks) {
    all.push(reverse ? blockDescending(block, from, to, at) : blockAscending(block, from, to, at));
  }
  return all.reduceRight((lower, upper) => merge(upper, lower, reverse));
}

export function visitAll(seen: Iterator<Sighting, void>, visit: Visit): boolean {
  for (let next = seen.next(); !next.done; next = seen.next()) {
    const { key, version } = next.value;
    if (version?.payload !== undefined && !visit({ key, seq: version.seq }, version.payload)) return false;
  }
  return true;
}

/** An entry of a block: its key is made when somebody asks for it. */
class EntryPlace implements Place {
  entry = 0;
  readonly #block: Block;

  constructor(block: Block) {
    this.#block = block;
  }

  get key(): ByteKey {
    return this.#block.keyAt(this.entry);
  }
  get seq(): Seq {
    return this.#block.seqAt(this.entry);
  }
}

/** Of a block with one version a key: everything in it between the extent's ends. */
export function visitBlock(block: Block, { from, to }: Range, reverse: boolean, visit: Visit): boolean {
  const place = new EntryPlace(block);
  const start = block.lowerBound(from, newest);
  const end = to === undefined ? block.count : block.lowerBound(to, newest);
  for (let i = start; i < end; i++) {
    place.entry = reverse ? start + end - 1 - i : i;
    const payload = block.payloadAt(place.entry);
    if (payload !== undefined && !visit(place, payload)) return false;
  }
  return true;
}

function* inMemtable(
  table: Memtable,
  from: ByteKey,
  to: ByteKey | undefined,
  at: Seq,
  reverse: boolean,
): Generator<Sighting, void> {
  for (const key of table.keys(from, to, reverse)) yield { key, version: table.find(key, at) };
}

function* blockAscending(block: Block, from: ByteKey, to: ByteKey | undefined, at: Seq): Generator<Sighting, void> {
  let i = block.lowerBound(from, newest);
  while (i < block.count) {
    const key = block.keyAt(i);
    if (to !== undefined && key >= to) return;
    let version: Version | undefined;
    for (; i < block.count && block.keyEquals(i, key); i++) {
      if (version === undefined && block.seqAt(i) <= at) version = block.versionAt(i);
    }
    yield { key, version };
  }
}

function* blockDescending(block: Block, from: ByteKey, to: ByteKey | undefined, at: Seq): Generator<Sighting, void> {
  let i = (to === undefined ? block.count : block.lowerBound(to, newest)) - 1;
  while (i >= 0) {
    const key = block.keyAt(i);
    if (key < from) return;
    let version: Version | undefined;
    // From old to new: the last one that is old enough is the visible one.
    for (; i >= 0 && block.keyEquals(i, key); i--) if (block.seqAt(i) <= at) version = block.versionAt(i);
    yield { key, version };
  }
}

/** Both in order; where both sight a key the upper one decides, unless it has no version old enough. */
function* merge(
  upper: Iterator<Sighting, void>,
  lower: Iterator<Sighting, void>,
  reverse: boolean,
): Generator<Sighting, void> {
  let a = upper.next();
  let b = lower.next();
  while (!a.done || !b.done) {
    if (b.done) {
      yield (a as IteratorYieldResult<Sighting>).value;
      a = upper.next();
    } else if (a.done) {
      yield b.value;
      b = lower.next();
    } else if (a.value.key === b.value.key) {
      yield a.value.version === undefined ? b.value : a.value;
      a = upper.next();
      b = lower.next();
    } else if (a.value.key < b.value.key !== reverse) {
      yield a.value;
      a = upper.next();
    } else {
      yield b.value;
      b = lower.next();
    }
  }
}
