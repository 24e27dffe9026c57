import { describe, expect, test } from "vitest";
import { Durations, SliceMeter } from "./slice-figures.ts";

describe("durations", () => {
  test("[VG11] quantiles are within a bucket of the exact ones, and never below", () => {
    const durations = new Durations();
    const all = Array.from({ length: 10_000 }, (_, i) => 0.01 * 1.001 ** i);
    for (const ms of all.toReversed()) durations.add(ms);
    for (const q of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = all[Math.ceil(q * all.length) - 1]!;
      if (exact > 10_000) continue; // beyond the last bucket only the longest is told
      expect(durations.quantile(q)).toBeGreaterThanOrEqual(exact * 0.9999);
      expect(durations.quantile(q)).toBeLessThanOrEqual(exact * 1.0906);
    }
    expect(durations.longestMs).toBe(all.at(-1));
    expect(durations.count).toBe(all.length);
  });

  test("[VG11] the last bucket takes whatever is longer, and the first whatever is shorter", () => {
    const durations = new Durations();
    expect(durations.quantile(0.5)).toBe(0);
    durations.add(0);
    expect(durations.quantile(1)).toBe(0);
    durations.add(1e9);
    expect(durations.quantile(0.5)).toBeLessThanOrEqual(0.001);
    expect(durations.quantile(1)).toBe(1e9);
  });
});

describe("the meter of slices", () => {
  test("[VG11] tells what was used in the last ten seconds, and what was left", () => {
    const meter = new SliceMeter(1000);
    expect(meter.figures(1000)).toMatchObject({ slices: 0, usedMs: 0, foreground: 1 });
    for (let now = 1010; now <= 2000; now += 10) meter.slice("grant", 4, now);
    expect(meter.figures(2000)).toMatchObject({ slices: 100, usedMs: 400, foreground: 0.6 });
    expect(meter.figures(10_000)).toMatchObject({ usedMs: 400, foreground: 1 - 400 / 9000 });
    expect(meter.figures(11_400).usedMs).toBeLessThan(400);
    expect(meter.figures(13_000)).toMatchObject({ slices: 100, usedMs: 0, foreground: 1 });
    meter.slice("timer", 5, 100_000); // after a long pause nothing of long ago comes back
    expect(meter.figures(100_000)).toMatchObject({ usedMs: 5, foreground: 1 - 5 / 10_000 });
    expect(meter.figures(100_002).last.slice(-2)).toEqual([
      { agoMs: 98_002, ms: 4 },
      { agoMs: 2, ms: 5 },
    ]);
    for (let now = 100_001; now <= 101_000; now++) meter.slice("grant", 1, now);
    expect(meter.figures(101_000).last.map(({ agoMs }) => agoMs)).toEqual(
      Array.from({ length: 128 }, (_, i) => 127 - i),
    );
    expect(meter.figures(100_000).bySource).toEqual({ grant: 1100, busy: 0, assist: 0, timer: 1, headlong: 0 });
  });
});
