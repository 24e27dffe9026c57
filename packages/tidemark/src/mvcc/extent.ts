/**
 * A scan goes from extent to extent: stretches of keys that at most one block a level covers. At an extent's border there
 * may be a key whose version chain goes on in a neighbouring block; it is named, so that it is looked up by itself.
 */
import type { ByteKey } from "../base/brand.ts";
import type { BlockInfo } from "../segments/block-info.ts";
import { newest } from "../segments/internal-key.ts";
import type { Level } from "../segments/level.ts";
import type { Manifest } from "../segments/manifest.ts";
import { after, type Range } from "./read-set.ts";

/** A stretch of keys that at most one block a level covers. */
export interface Extent extends Range {
  /** Those blocks, uppermost level first. */
  readonly parts: readonly Part[];
  /** A key at the extent's border whose version chain goes on in a neighbouring block. */
  readonly split?: ByteKey;
  readonly rest?: Range;
}

export interface Part {
  readonly level: Level;
  readonly position: number;
  readonly info: BlockInfo;
}

/** The part of `left` that one block a level (or none) covers, and what remains after it. */
export const extentOf = (manifest: Manifest, left: Range, reverse: boolean): Extent =>
  reverse ? lastExtent(manifest, left) : firstExtent(manifest, left);

function firstExtent({ filled }: Manifest, left: Range): Extent {
  const met: Part[] = [];
  for (const level of filled) {
    const position = level.find(left.from, newest);
    const info = level.at(position);
    if (info !== undefined && (left.to === undefined || info.first.key < left.to)) met.push({ level, position, info });
  }
  if (met.length === 0) return { ...left, parts: met };
  const last = met.reduce((low, { info }) => (info.last.key < low ? info.last.key : low), met[0]!.info.last.key);
  const end = after(last);
  const isAll = left.to !== undefined && end >= left.to;
  const parts = met.filter(({ info }) => info.first.key <= last);
  const isSplit =
    (left.to === undefined || last < left.to) &&
    parts.some((p) => p.info.last.key === last && p.level.at(p.position + 1)?.first.key === last);
  return {
    from: left.from,
    to: isAll ? left.to : end,
    parts,
    ...(isSplit ? { split: last } : {}),
    ...(isAll ? {} : { rest: { from: end, to: left.to } }),
  };
}

function lastExtent({ filled }: Manifest, left: Range): Extent {
  const met: Part[] = [];
  for (const level of filled) {
    const position = (left.to === undefined ? level.length : level.findBeginning(left.to)) - 1;
    const info = level.at(position);
    if (info !== undefined && info.last.key >= left.from) met.push({ level, position, info });
  }
  if (met.length === 0) return { ...left, parts: met };
  const first = met.reduce((high, { info }) => (info.first.key > high ? info.first.key : high), met[0]!.info.first.key);
  const isAll = first <= left.from;
  const parts = met.filter(({ info }) => info.last.key >= first);
  const isSplit =
    first >= left.from &&
    parts.some((p) => p.info.first.key === first && p.level.at(p.position - 1)?.last.key === first);
  return {
    from: isAll ? left.from : first,
    to: left.to,
    parts,
    ...(isSplit ? { split: first } : {}),
    ...(isAll ? {} : { rest: { from: left.from, to: first } }),
  };
}

/** Level by level, up to `count` − 1 blocks after the extent's that the scan will want. */
export function following(
  manifest: Manifest,
  { parts }: Extent,
  left: Range,
  reverse: boolean,
  count: number,
): readonly BlockInfo[] {
  const ahead: BlockInfo[] = [];
  const most = Math.max(1, Math.floor(count / manifest.filled.length));
  for (const { level, position } of parts) {
    for (let n = 1; n < most; n++) {
      const info = level.at(reverse ? position - n : position + n);
      if (info === undefined) break;
      if (reverse ? info.last.key < left.from : left.to !== undefined && info.first.key >= left.to) break;
      ahead.push(info);
    }
  }
  return ahead;
}
