/** Who wrote something and when, on a clock that all tabs of a machine share. */
export interface Stamp {
  readonly at: number;
  readonly tab: string;
}

const thisTab = crypto.randomUUID();
const openedAt = performance.timeOrigin;

/** Milliseconds with fractions; the same in every tab, unlike `performance.now()`. */
export const sharedNow = (): number => performance.timeOrigin + performance.now();

export const stampNow = (): Stamp => ({ at: sharedNow(), tab: thisTab });

export const isFromHere = (stamp: Stamp): boolean => stamp.tab === thisTab;

/** Written by another tab while this one was open, so that its way here can be timed. */
export const isFromAnotherTab = (stamp: Stamp): boolean => stamp.tab !== thisTab && stamp.at > openedAt;
