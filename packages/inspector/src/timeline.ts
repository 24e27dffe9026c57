/** What upkeep took of the worker's time beside what frames took of the page's, laid out on a strip of time. */
export interface Beat {
  /** In ms; each beat reaches back to the one before it, as long as `spanMs`. */
  readonly at: number;
  readonly spanMs: number;
  /** Slices of background work in that time, and what they took. */
  readonly slices: number;
  readonly workMs: number;
}

export interface Frame {
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
  /** The share of the time that the lane of upkeep ends at. */
  readonly topShare: number;
  readonly work: readonly Bar[];
  readonly frames: readonly Bar[];
  readonly spans: readonly { readonly id: number; readonly x: number; readonly width: number }[];
}

export interface Strip {
  readonly now: number;
  readonly windowMs: number;
  readonly widthPx: number;
  readonly lanePx: number;
}

/** A frame that took longer was missed, at 60 a second and with some grace. */
export const lateFrameMs = 25;
/** The top of the frames' lane. */
export const highestFrameMs = 50;
/** Tops that the lane of upkeep may have: shares of the time. */
const tops = [0.05, 0.1, 0.25, 0.5, 1] as const;
/** From here on upkeep is told apart: it takes what the page may feel. */
const highShare = 0.5;
const bucketPx = 3;

const shareOf = ({ workMs, spanMs }: Beat): number => workMs / Math.max(1, spanMs);

export function layOut(
  beats: readonly Beat[],
  frames: readonly Frame[],
  spans: readonly Span[],
  { now, windowMs, widthPx, lanePx }: Strip,
): Layout {
  const begin = now - windowMs;
  const x = (at: number): number => ((Math.min(Math.max(at, begin), now) - begin) / windowMs) * widthPx;
  const shown = beats.filter(({ at }) => at > begin);
  const highest = Math.max(0, ...shown.map(shareOf));
  const topShare = tops.find((top) => highest <= top) ?? 1;
  const work = shown.flatMap((beat) => {
    const share = shareOf(beat);
    if (share <= 0) return [];
    const from = x(beat.at - beat.spanMs);
    const width = Math.max(1, x(beat.at) - from - 1);
    return [{ x: from, width, height: tall(share / topShare, lanePx), isHigh: share > highShare }];
  });
  return {
    topShare,
    work,
    frames: worstFrames(frames, begin, x, lanePx),
    spans: spans.flatMap(({ id, from, to = now }) =>
      to < begin ? [] : [{ id, x: x(from), width: Math.max(2, x(to) - x(from)) }],
    ),
  };
}

const tall = (part: number, lanePx: number): number => Math.max(1, Math.min(1, part) * lanePx);

/** The worst frame of every few pixels: an average would hide the one that was felt. */
function worstFrames(frames: readonly Frame[], begin: number, x: (at: number) => number, lanePx: number): Bar[] {
  const worst = new Map<number, number>();
  for (const { at, ms } of frames) {
    if (at <= begin) continue;
    const bucket = Math.floor(x(at) / bucketPx);
    worst.set(bucket, Math.max(worst.get(bucket) ?? 0, ms));
  }
  return Array.from(worst, ([bucket, ms]) => ({
    x: bucket * bucketPx,
    width: bucketPx - 1,
    height: tall(ms / highestFrameMs, lanePx),
    isHigh: ms > lateFrameMs,
  }));
}
