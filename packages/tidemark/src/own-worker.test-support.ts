/** Options that give a handle a worker of its own, as another tab has: only handles with the same options share one. */
export const ownWorker = (n: number): { readonly cacheMaxBytes: number } => ({ cacheMaxBytes: 2 ** 24 + n });
