/** Slices of background work, in virtual time: when they begin, how long they are, what is told of them. */
import { describe, expect, test } from "vitest";
import { Foreground } from "./host/foreground.ts";
import { Gate } from "./host/gate.ts";
import { Grants } from "./host/grants.ts";
import { type PaceOptions, Slices } from "./host/pace.ts";
import type { Process } from "./testing/process.ts";
import { simulate, type World } from "./testing/world.ts";
import type { PageOffer, PageState } from "./protocol/messages.ts";
import type { SliceSource } from "./protocol/metrics.ts";
import type { Pace } from "./segments/pace.ts";

interface Setting {
  readonly page?: PageState;
  readonly budgetMs?: number;
}

/** A worker with background work in it, and the page that grants it slices. */
class Bench {
  readonly told: boolean[] = [];
  readonly foreground: Foreground;
  debt = 0;
  readonly grants: Grants;
  readonly slices: Slices;
  readonly #world: World;
  readonly #process: Process;

  constructor(world: World, { page, budgetMs }: Setting = {}) {
    const process = world.process("worker");
    process.lookMs = 0.1;
    this.#world = world;
    this.#process = process;
    const { environment } = process;
    const ticks = (): number => environment.ticks();
    this.foreground = new Foreground(ticks);
    const tell = (waits: boolean): void => void this.told.push(waits);
    this.grants = new Grants({ page, tell, ticks, sleep: (ms) => world.sleep(ms) });
    const options: PaceOptions = {
      ticks,
      giveWay: () => environment.giveWay(),
      foreground: this.foreground,
      debt: () => this.debt,
      grants: this.grants,
      budgetMs,
    };
    this.slices = new Slices(options);
  }

  get now(): number {
    return this.#process.environment.ticks();
  }

  begun(source: SliceSource): number {
    return this.slices.figures.bySource[source];
  }

  /** Work of so many halves of a ms. */
  work(halves: number, each: () => void = () => undefined): (pace: Pace) => Promise<number> {
    return async (pace) => {
      for (let half = 0; half < halves; half++) {
        each();
        for (let look = 0; look < 5; look++) if (pace.isDue()) await pace.pause();
      }
      return halves;
    };
  }

  /** As a page that is idle does, until no more is taken. */
  async grantAll(budgetMs = 4): Promise<number[]> {
    const used: number[] = [];
    for (;;) {
      const { usedMs } = await this.grants.offer({ type: "slice", budgetMs, leftMs: 50 });
      if (usedMs === undefined) return used;
      used.push(usedMs);
    }
  }

  async settle(): Promise<void> {
    await this.#world.sleep(20);
  }
}

const visible = { page: "visible" } as const;

describe("slices granted by the page", () => {
  test("[VG10] none begins before the page grants it, each grant begins one, and its budget bounds it", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      let looks = 0;
      const done = bench.slices.run(bench.work(100, () => looks++));
      await bench.settle();
      expect([looks, bench.told]).toEqual([0, [true]]);
      const first = await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 50 });
      expect(first.usedMs).toBeGreaterThanOrEqual(4);
      expect(first.usedMs).toBeLessThanOrEqual(4.3); // it looks every tenth of a ms
      const sofar = looks;
      await bench.settle();
      expect(looks).toBe(sofar);
      const second = await bench.grants.offer({ type: "slice", budgetMs: 2, leftMs: 50 });
      expect(second.usedMs).toBeLessThanOrEqual(3);
      expect(bench.begun("grant")).toBe(2);
      await bench.grantAll();
      expect(await done).toBe(100);
      await bench.settle();
      expect(bench.told).toEqual([true, false]);
      expect(bench.slices.figures.bySource).toMatchObject({ busy: 0, assist: 0, timer: 0, headlong: 0 });
    }));

  test("[VG10] a budget never exceeds the option, nor what is left of the idle moment", () =>
    simulate(async (world) => {
      const bench = new Bench(world, { ...visible, budgetMs: 2 });
      const done = bench.slices.run(bench.work(40));
      await bench.settle();
      for (const ms of await bench.grantAll(50)) expect(ms).toBeLessThanOrEqual(3);
      await done;
      const other = new Bench(world, visible);
      const late = other.slices.run(other.work(10));
      await other.settle();
      const { usedMs } = await other.grants.offer({ type: "slice", budgetMs: 4, leftMs: 1 });
      expect(usedMs).toBeLessThanOrEqual(2);
      await other.grantAll();
      await late;
    }));

  test("[VG10] none begins while calls are outstanding; the grant lapses with its idle moment", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      let looks = 0;
      const done = bench.slices.run(bench.work(20, () => looks++));
      await bench.settle();
      bench.foreground.begin();
      expect(await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 10 })).toEqual({});
      expect(looks).toBe(0);
      bench.foreground.end();
      await bench.settle();
      expect(looks).toBe(0);
      await bench.grantAll();
      await done;
    }));

  test("[VG10] a page that always has calls outstanding, or never answers, does not stop it for good", () =>
    simulate(async (world) => {
      const busy = new Bench(world, visible);
      busy.foreground.begin();
      const from = busy.now;
      await busy.slices.run(busy.work(40)); // some 20 ms
      expect(busy.begun("busy")).toBe(busy.slices.figures.slices);
      expect(busy.now - from).toBeGreaterThan(5 * 50);
      expect(busy.now - from).toBeLessThan(5 * 50 + 200);
      const silent = new Bench(world, visible);
      const since = world.now;
      await silent.slices.run(silent.work(2));
      expect(silent.begun("timer")).toBe(1);
      expect(world.now - since).toBeLessThan(1100);
    }));

  test("[VG10] nothing is offered to it while nothing waits; two pieces in a row are one wait", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      expect(await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 50 })).toEqual({});
      for (let piece = 0; piece < 3; piece++) {
        const done = bench.slices.run(bench.work(1));
        await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 50 });
        await done;
      }
      await bench.settle();
      expect(bench.told).toEqual([true, false]);
    }));

  test("[VG10] while the page is hidden, and without one, it paces itself and asks for nothing", () =>
    simulate(async (world) => {
      for (const page of ["hidden", undefined] as const) {
        const bench = new Bench(world, page ? { page } : {});
        const from = bench.now;
        await bench.slices.run(bench.work(200)); // some 100 ms
        expect(bench.begun("timer")).toBe(bench.slices.figures.slices);
        const share = bench.slices.figures.usedMs / (bench.now - from);
        expect(share).toBeGreaterThan(0.3);
        expect(share).toBeLessThanOrEqual(0.55);
        if (!page) expect(bench.told).toEqual([]);
      }
      const bench = new Bench(world, visible);
      const done = bench.slices.run(bench.work(100));
      await bench.settle();
      expect(bench.slices.figures.slices).toBe(0);
      await bench.grants.offer({ type: "page", state: "hidden" });
      await done;
      expect(bench.begun("timer")).toBe(bench.slices.figures.slices);
      await bench.grants.offer({ type: "page", state: "visible" });
      const again = bench.slices.run(bench.work(10));
      await bench.settle();
      expect(bench.slices.figures.slices).toBe(bench.begun("timer"));
      await bench.grantAll();
      await again;
    }));

  test("[VG10] what is no offer is refused", () =>
    simulate(async (world) => {
      const { grants } = new Bench(world, visible);
      const bad: unknown[] = [
        undefined,
        null,
        {},
        { type: "slice" },
        { type: "slice", budgetMs: 0, leftMs: 1 },
        { type: "slice", budgetMs: 4, leftMs: 51 },
        { type: "slice", budgetMs: Number.NaN, leftMs: 1 },
        { type: "slice", budgetMs: "4", leftMs: 1 },
        { type: "page", state: "prerender" },
        { type: "other" },
      ];
      for (const offer of bad) {
        await expect(grants.offer(offer as PageOffer)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
      }
    }));
});

describe("pacing", () => {
  /** Share of the time that slices take at that debt while the page has calls outstanding. */
  const shareAt = (debt: number): Promise<number> =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      bench.foreground.begin();
      bench.debt = debt;
      const from = bench.now;
      await bench.slices.run(bench.work(400));
      expect(bench.begun("assist")).toBe(debt < 0.5 ? 0 : bench.slices.figures.slices);
      return bench.slices.figures.usedMs / Math.min(10_000, bench.now - from);
    });

  test("[VG11] writers assist in proportion to the debt, capped at half of the time", async () => {
    const shares = [];
    for (const debt of [0, 0.49, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 100]) shares.push(await shareAt(debt));
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares[0]).toBeLessThan(0.1); // the bound for a page that is never without calls
    expect(shares[2]).toBeGreaterThan(0.08);
    expect(shares[2]).toBeLessThan(0.12);
    expect(shares[5]).toBeGreaterThan(0.38);
    expect(shares.at(-1)).toBeLessThanOrEqual(0.5);
  });

  test("[VG11] only where somebody waits for the work itself do slices follow on one another", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      bench.foreground.begin();
      let isHeadlong = false;
      const done = bench.slices.run(bench.work(200), { isHeadlong: () => isHeadlong });
      await world.sleep(30);
      expect(bench.begun("headlong")).toBe(0);
      isHeadlong = true;
      const from = bench.now;
      await done;
      expect(bench.begun("headlong")).toBe(bench.slices.figures.slices);
      expect(bench.slices.figures.longestMs).toBeLessThanOrEqual(5);
      expect(bench.slices.figures.usedMs / (bench.now - from)).toBeGreaterThan(0.6); // the rest are others' turns
    }));

  test("[VG10] where whoever was in a hurry is gone before a slice began, the page is told that work waits", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      let isHeadlong = true;
      const done = bench.slices.run(bench.work(4), { isHeadlong: () => isHeadlong });
      isHeadlong = false;
      await bench.settle();
      expect(bench.told).toEqual([true]);
      await bench.grantAll();
      await done;
      expect(bench.slices.figures.bySource).toMatchObject({ timer: 0, headlong: 0 });
    }));

  test("[VG11] slices leave gaps while anybody works, in this tab or another, and none when all have stopped", () =>
    simulate(async (world) => {
      const gapAfter = async (heard: boolean): Promise<number> => {
        const bench = new Bench(world);
        return bench.slices.run(async (pace) => {
          await pace.aside!(world.sleep(10)); // storage is what others wait for
          if (heard) bench.foreground.heard();
          const from = bench.now;
          await pace.pause();
          return bench.now - from;
        });
      };
      expect(await gapAfter(false)).toBeLessThan(12);
      expect(await gapAfter(true)).toBeGreaterThanOrEqual(30);
      expect(await gapAfter(true)).toBeLessThan(45);
    }));

  test("[VG10] what a slice waits for storage is not its time; after a long wait others come first", () =>
    simulate(async (world) => {
      const bench = new Bench(world);
      await bench.slices.run(async (pace) => {
        await pace.aside!(world.sleep(30));
        expect(pace.isDue()).toBe(false);
        await pace.aside!(world.sleep(30));
        expect(pace.isDue()).toBe(true);
        await expect(pace.aside!(Promise.reject(new Error("gone")))).rejects.toThrow("gone");
      });
      expect(bench.slices.figures.longestMs).toBeLessThan(5);
    }));

  test("[VG11] slices of no work are measured beside the others", () =>
    simulate(async (world) => {
      const bench = new Bench(world);
      await bench.slices.run(bench.work(400));
      const { slices, empty, p50Ms, p99Ms, p999Ms, longestMs } = bench.slices.figures;
      expect(empty.slices).toBe(Math.ceil(slices / 8));
      expect(empty.longestMs).toBeLessThan(2);
      expect([p50Ms, p99Ms, p999Ms, longestMs]).toEqual([p50Ms, p99Ms, p999Ms, longestMs].toSorted((a, b) => a - b));
      expect(p50Ms).toBeGreaterThanOrEqual(4);
    }));
});

describe("a job", () => {
  test("[VG10] pauses between slices, asks for nothing meanwhile, and goes on", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      const gate = new Gate();
      let looks = 0;
      const done = bench.slices.run(
        bench.work(60, () => looks++),
        { gate },
      );
      await bench.settle();
      await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 50 });
      gate.pause();
      await bench.settle();
      expect(bench.told).toEqual([true, false]);
      const sofar = looks;
      await world.sleep(5000);
      expect(looks).toBe(sofar);
      gate.resume();
      await bench.settle();
      expect(bench.told).toEqual([true, false, true]);
      await bench.grantAll();
      expect(await done).toBe(60);
    }));

  test("[VG10] is cancelled between slices, whether it waits or is paused", () =>
    simulate(async (world) => {
      for (const isPaused of [false, true]) {
        const bench = new Bench(world, visible);
        const controller = new AbortController();
        const gate = new Gate(controller.signal);
        if (isPaused) gate.pause();
        const done = bench.slices.run(bench.work(60), { gate });
        done.catch(() => undefined); // awaited below
        await bench.settle();
        const why = new Error("enough");
        controller.abort(why);
        await expect(done).rejects.toBe(why);
        await bench.settle();
        expect(bench.told.at(-1) ?? false).toBe(false);
        expect(bench.slices.figures.slices).toBe(0);
        const next = bench.slices.run(bench.work(2)); // it stands in nobody's way
        await bench.settle();
        await bench.grantAll();
        await next;
      }
    }));

  test("[VG10] that fails gives its grant back", () =>
    simulate(async (world) => {
      const bench = new Bench(world, visible);
      const done = bench.slices.run(() => Promise.reject(new Error("broken")));
      done.catch(() => undefined); // awaited below
      await bench.settle();
      expect((await bench.grants.offer({ type: "slice", budgetMs: 4, leftMs: 50 })).usedMs).toBeDefined();
      await expect(done).rejects.toThrow("broken");
    }));
});
