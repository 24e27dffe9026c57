/** Slices of upkeep in the worker beside frames of the page, laid out on a strip of time. */

/** Something that ended at `at`, in ms, and took so long. */
export interface Moment {
  readonly at: number;
  readonly ms: number;
}

/** A run, as far as this tab heard of it. */
export interface Span {
  readonly id: number;
  readonly from: number;
  /** Absent while it goes on. */
  readonly to?: number;
}

export interface Bar {
  readonly x: number;
  readonly width: number;
  readonly height: number;
  readonly isHigh: boolean;
}

export interface Layout {
  readonly slices: readonly Bar[];
  readonly frames: readonly Bar[];
  readonly spans: readonly { readonly id: number; readonly x: number; readonly width: number }[];
}

export interface Strip {
  readonly now: number;
  readonly windowMs: number;
  readonly widthPx: number;
  readonly lanePx: number;
}

/** What is beyond `lateMs` is told apart; the lane's top is `topMs`. */
interface Lane {
  readonly lateMs: number;
  readonly topMs: number;
}

/** A frame that took longer was missed, at 60 a second and with some grace. */
export const frameLane: Lane = { lateMs: 25, topMs: 50 };
/** A slice is given 4 ms at first, and may be given up to 8. */
export const sliceLane: Lane = { lateMs: 8, topMs: 16 };
const bucketPx = 3;

export function layOut(
  slices: readonly Moment[],
  frames: readonly Moment[],
  spans: readonly Span[],
  { now, windowMs, widthPx, lanePx }: Strip,
): Layout {
  const begin = now - windowMs;
  const x = (at: number): number => ((Math.min(Math.max(at, begin), now) - begin) / windowMs) * widthPx;
  const bars = (moments: readonly Moment[], lane: Lane): readonly Bar[] =>
    longest(
      moments.filter(({ at }) => at > begin),
      x,
    ).map(([left, ms]) => ({
      x: left,
      width: bucketPx - 1,
      height: Math.max(1, Math.min(1, ms / lane.topMs) * lanePx),
      isHigh: ms > lane.lateMs,
    }));
  return {
    slices: bars(slices, sliceLane),
    frames: bars(frames, frameLane),
    spans: spans.flatMap(({ id, from, to = now }) =>
      to < begin ? [] : [{ id, x: x(from), width: Math.max(2, x(to) - x(from)) }],
    ),
  };
}

/** The longest of every few pixels, and where these begin: an average would hide the one that was felt. */
function longest(moments: readonly Moment[], x: (at: number) => number): readonly (readonly [number, number])[] {
  const found = new Map<number, number>();
  for (const { at, ms } of moments) {
    const left = Math.floor(x(at) / bucketPx) * bucketPx;
    found.set(left, Math.max(found.get(left) ?? 0, ms));
  }
  return [...found];
}
