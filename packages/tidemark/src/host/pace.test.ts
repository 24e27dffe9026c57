import { describe, expect, test } from "vitest";
import { Foreground, Slices } from "./pace.ts";

/** Time that passes only by sleeping, or by hand. */
function world() {
  const clock = {
    nowMs: 1000,
    now: () => clock.nowMs,
    sleep: (ms: number) => {
      clock.nowMs += ms;
      return Promise.resolve();
    },
  };
  const foreground = new Foreground(clock);
  const load = { isPressed: false };
  const slices = new Slices({
    clock,
    foreground,
    giveWay: () => Promise.resolve(),
    isPressed: () => load.isPressed,
  });
  /** How long upkeep rests after a slice of `tookMs`. */
  const restAfter = async (tookMs: number): Promise<number> => {
    clock.nowMs += tookMs;
    const from = clock.nowMs;
    await slices.pause();
    return clock.nowMs - from;
  };
  return { clock, foreground, load, slices, restAfter };
}

describe("upkeep's slices", () => {
  test("follow on one another while nobody works", async () => {
    const { slices, clock, restAfter } = world();
    expect(slices.isDue()).toBe(false);
    clock.nowMs += 2;
    expect(slices.isDue()).toBe(true);
    expect(await restAfter(10)).toBe(0);
    expect(slices.isDue()).toBe(false);
  });

  test("leave gaps in proportion to what they took while another tab commits", async () => {
    const { foreground, restAfter } = world();
    foreground.heard();
    expect(await restAfter(4)).toBe(12);
    foreground.heard();
    expect(await restAfter(8)).toBe(24);
  });

  test("leave gaps between the calls of their own page, and none begins while it waits", async () => {
    const { foreground, restAfter } = world();
    foreground.begin();
    expect(await restAfter(2)).toBeGreaterThanOrEqual(50); // as long as anything is waited for
    foreground.end();
    expect(await restAfter(4)).toBe(12);
  });

  test("rest no longer once the others have stopped", async () => {
    const { foreground, clock, restAfter } = world();
    foreground.heard();
    clock.nowMs += 45;
    expect(await restAfter(4)).toBeLessThanOrEqual(4);
    expect(await restAfter(10)).toBe(0);
  });

  test("go on within 50 ms although others never stop, and after very long storage", async () => {
    const { foreground, restAfter } = world();
    foreground.begin();
    for (let i = 0; i < 20; i++) {
      foreground.heard();
      expect(await restAfter(200)).toBeLessThan(54);
    }
  });

  test("do not rest under pressure", async () => {
    const { foreground, load, restAfter } = world();
    foreground.begin();
    foreground.heard();
    load.isPressed = true;
    expect(await restAfter(20)).toBe(0);
  });
});
