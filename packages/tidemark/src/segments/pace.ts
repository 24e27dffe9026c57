/** Lets long work be done in slices: others run in between. */
export interface Pace {
  /** Whether this slice has lasted long enough. */
  isDue(): boolean;
  /** Resolves when the next slice may begin. */
  pause(): Promise<void>;
}

/** All in one go. */
export const headlong: Pace = { isDue: () => false, pause: () => Promise.resolve() };
