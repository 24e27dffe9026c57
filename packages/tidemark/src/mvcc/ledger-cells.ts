/**
 * The histogram of a garbage ledger (ledger.ts): superseded versions, counted by when they were superseded, by table,
 * and by the first point that they span. Cells are sorted by that; those of one stretch of seqs make a bucket.
 *
 * A version spans the points p with c ≤ p < n. Buckets never reach over a point, so that all versions of a cell span the
 * same ones: from its first one to the last one below the bucket. That is what makes it cheap to forget a point.
 */
import { countBelow } from "../base/ascending.ts";
import { type Seq, seq, type TableId } from "../base/brand.ts";

export interface Figures {
  readonly versions: number;
  readonly bytes: number;
}

export const nothing: Figures = { versions: 0, bytes: 0 };

export const plus = (a: Figures, b: Figures): Figures => ({
  versions: a.versions + b.versions,
  bytes: a.bytes + b.bytes,
});

/** Versions superseded at some n with from ≤ n ≤ to. */
export interface Cell {
  readonly from: Seq;
  readonly to: Seq;
  readonly table: TableId;
  /** The first point that they span; `noPoint` where they span none. */
  readonly first: Seq;
  versions: number;
  bytes: number;
}

/** Seq 0 is before all versions: a point there holds nothing. */
export const noPoint: Seq = seq(0);

/** More cells than this are joined, bucket by bucket. */
export const maxCells = 512;
/** Where points and tables alone make more than this, it is given up which points are spanned. */
const maxSpannedCells = 2048;

/** Ascending and distinct, without seq 0. */
export const asPoints = (seqs: readonly Seq[]): readonly Seq[] =>
  [...new Set(seqs)].filter((s) => s > noPoint).toSorted((a, b) => a - b);

/** The first point that a version of c, superseded at n, spans. */
export function firstSpanned(points: readonly Seq[], c: Seq, n: Seq): Seq {
  if (points.length === 0) return noPoint;
  const first = points[countBelow(points, c)];
  return first !== undefined && first < n ? first : noPoint;
}

export const lastBelow = (points: readonly Seq[], n: Seq): Seq => points[countBelow(points, n) - 1] ?? noPoint;

/** Where the bucket of `n` begins among the cells, or would. */
export function bucketOf(cells: readonly Cell[], n: Seq): number {
  let low = 0;
  for (let high = cells.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (cells[middle]!.to < n) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const inOrder = (a: Cell, b: Cell): number => a.to - b.to || a.table - b.table || a.first - b.first;

const isSame = (a: Cell, b: Cell): boolean => a.to === b.to && a.table === b.table && a.first === b.first;

/** Sorted cells, of which neighbours may have become the same one; those that are empty go. */
export function tidied(cells: readonly Cell[]): Cell[] {
  const kept: Cell[] = [];
  for (const cell of cells) {
    const last = kept.at(-1);
    if (cell.versions === 0) continue;
    if (last === undefined || !isSame(last, cell)) kept.push({ ...cell });
    else add(last, cell);
  }
  return kept;
}

function add(into: Cell, { versions, bytes }: Figures): void {
  into.versions += versions;
  into.bytes += bytes;
}

/** All cells up to the floor become one bucket; or one for each stretch between points, of which it is the whole. */
export function settled(cells: readonly Cell[], points: readonly Seq[], floor: Seq): Cell[] {
  const moved: Cell[] = [];
  let i = 0;
  for (; i < cells.length && cells[i]!.to <= floor; i++) {
    const cell = cells[i]!;
    const before = countBelow(points, cell.to);
    const from = seq((points[before - 1] ?? 0) + 1);
    const to = seq(Math.min(points[before] ?? floor, floor));
    moved.push({ ...cell, from, to });
  }
  return [...tidied(moved.sort(inOrder)), ...cells.slice(i).map((c) => ({ ...c }))];
}

/**
 * The cells as they are stored: so many at most, whatever has happened. What is joined follows from the cells alone:
 * buckets are evened out by bytes, so each holds a small share of all there is, or is a single commit's.
 */
export function joined(cells: readonly Cell[], points: readonly Seq[]): { cells: Cell[]; gaveUp: boolean } {
  let kept = tidied(cells);
  const total = kept.reduce((n, c) => n + c.bytes, 0);
  for (let share = Math.ceil((2 * total) / maxCells); kept.length > maxCells; share *= 2) {
    kept = joinedUpTo(kept, points, share);
    if (share >= total) break;
  }
  if (kept.length <= maxSpannedCells) return { cells: kept, gaveUp: false };
  const anyPoint = points[0]!;
  const widened = kept.map((c) => (c.first === noPoint ? c : { ...c, first: anyPoint }));
  return { cells: tidied(widened.toSorted(inOrder)), gaveUp: true };
}

/** Joins buckets that follow on one another as long as they have no more than `maxBytes` together. */
function joinedUpTo(cells: readonly Cell[], points: readonly Seq[], maxBytes: number): Cell[] {
  const all: Cell[] = [];
  let open: Cell[] = [];
  let openBytes = 0;
  const close = (): void => {
    const from = open[0]?.from ?? noPoint;
    const to = open.at(-1)?.to ?? noPoint;
    all.push(...tidied(open.map((c) => ({ ...c, from, to })).toSorted(inOrder)));
    open = [];
    openBytes = 0;
  };
  for (const bucket of bucketsOf(cells)) {
    const bytes = bucket.reduce((n, c) => n + c.bytes, 0);
    const before = open.at(-1)?.to ?? noPoint;
    const isApart = lastBelow(points, before) !== lastBelow(points, bucket[0]!.from);
    if (open.length > 0 && (isApart || openBytes + bytes > maxBytes)) close();
    open.push(...bucket);
    openBytes += bytes;
  }
  close();
  return all;
}

function* bucketsOf(cells: readonly Cell[]): Generator<readonly Cell[], void> {
  for (let i = 0; i < cells.length;) {
    const start = i;
    while (cells[i]?.to === cells[start]!.to) i++;
    yield cells.slice(start, i);
  }
}
