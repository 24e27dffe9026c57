/** Lets long work be done in slices: others run in between. */
export interface Pace {
  /** Whether this slice has lasted long enough. `ahead`: which share of one is taken by what comes until the next look. */
  isDue(ahead?: number): boolean;
  /** Resolves when the next slice may begin. */
  pause(): Promise<void>;
  /** Waits for storage. That is nobody's time, so a slice does not count it. */
  aside?<T>(wait: Promise<T>): Promise<T>;
}

/** What is done with blocks between two looks, as a share of a slice: ended so much earlier it lasts no longer than it may. */
export const lookAhead: number = 1 / 2;

/** All in one go. */
export const headlong: Pace = { isDue: () => false, pause: () => Promise.resolve() };

export const aside = <T>(pace: Pace, wait: Promise<T>): Promise<T> => pace.aside?.(wait) ?? wait;
