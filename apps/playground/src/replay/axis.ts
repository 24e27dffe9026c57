/** Where the lines of an axis lie, and what they say. */

export type Scale = "linear" | "log";

/** The lowest value that a logarithmic axis shows. */
const lowest = 1000;

/** From the axis' lowest value to at least `most`. */
export function byteTicks(most: number, scale: Scale): readonly number[] {
  if (scale === "log") {
    const powers = Math.max(2, Math.ceil(Math.log10(most / lowest)));
    return Array.from({ length: powers + 1 }, (_, i) => lowest * 10 ** i);
  }
  const step = roundStep(most / 5);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
}

/** Round numbers from 0 to `most`, about so many steps apart. */
export function countTicks(most: number, steps: number): readonly number[] {
  const step = roundStep(most / steps);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

/** The smallest of 1, 2, 2.5 and 5 times a power of ten that is `least` or more. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 2.5, 5].find((m) => m * power >= least) ?? 10);
}
