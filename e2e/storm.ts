/** Commits amid which a page goes away; what runs in the page uses nothing from here, to serve any browser's driver. */

declare global {
  /** Ends the commits; resolves when the last one is acknowledged. */
  var left: () => Promise<void>;
}

/** Commits `<tab> 0`, `<tab> 1`, … one after the other, and keeps past reloads how many were acknowledged. */
export const commitUntilLeft = async (tab: string): Promise<void> => {
  await lab.db.open();
  const mine = await lab.items.where().between(`${tab} `, `${tab}!`).toArray();
  const value = tab.repeat(500);
  const over = new AbortController();
  const loop = (async () => {
    for (let n = mine.length; !over.signal.aborted; n++) {
      await lab.items.put({ id: `${tab} ${n}`, n, value });
      localStorage.setItem(`acknowledged by ${tab}`, String(n + 1));
    }
  })();
  globalThis.left = () => {
    over.abort();
    return loop;
  };
};

export const acknowledgedBy = (tab: string): number => Number(localStorage.getItem(`acknowledged by ${tab}`) ?? 0);

/** Printed, and taken from the environment to have the same run again. */
export function seedOfRun(): number {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  console.log(`  SEED=${seed}`);
  return seed;
}

/** Small and even enough to choose moments by; the same seed gives the same ones. */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Waits of up to 300 ms: some hit a page while it still opens. */
export function waitsMs(seed: number, count: number): number[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => Math.round(random() * 300));
}
