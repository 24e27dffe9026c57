/** Which rows of a long list are in sight, where its whole height would be more than browsers draw. */
export interface Scrolled {
  readonly total: number;
  readonly rowPx: number;
  readonly viewportPx: number;
  readonly scrollTop: number;
}

export interface Window {
  /** Of the scrolled content. */
  readonly heightPx: number;
  /** The first row in sight, and how many are, each at least in part. */
  readonly first: number;
  readonly count: number;
  /** Where the first row is drawn, from the content's top. */
  readonly topPx: number;
}

/** Firefox lays out less than 18 million px. */
export const maxHeightPx = 8_000_000;

export function windowOf({ total, rowPx, viewportPx, scrollTop }: Scrolled): Window {
  const wholePx = total * rowPx;
  const heightPx = Math.min(wholePx, maxHeightPx);
  const [wholeTravel, travel] = [Math.max(0, wholePx - viewportPx), Math.max(0, heightPx - viewportPx)];
  const scrolled = Math.min(Math.max(0, scrollTop), travel);
  const virtualTop = travel === 0 ? 0 : (scrolled / travel) * wholeTravel;
  const first = Math.min(Math.floor(virtualTop / rowPx), Math.max(0, total - 1));
  const count = Math.min(total - first, Math.ceil(viewportPx / rowPx) + 1);
  return { heightPx, first, count, topPx: scrolled - (virtualTop - first * rowPx) };
}

/** The scrollTop that brings a row into sight with the least way; the present one where it is in sight. */
export function scrollTo(row: number, scrolled: Scrolled): number {
  const { total, rowPx, viewportPx, scrollTop } = scrolled;
  const wholePx = total * rowPx;
  const [wholeTravel, travel] = [
    Math.max(0, wholePx - viewportPx),
    Math.max(0, Math.min(wholePx, maxHeightPx) - viewportPx),
  ];
  if (travel === 0) return 0;
  const virtualTop = (Math.min(scrollTop, travel) / travel) * wholeTravel;
  const [top, bottom] = [row * rowPx, (row + 1) * rowPx - viewportPx];
  if (virtualTop >= bottom && virtualTop <= top) return scrollTop;
  const target = virtualTop > top ? top : bottom;
  return (Math.min(Math.max(0, target), wholeTravel) / wholeTravel) * travel;
}
