import { describe, expect, test } from "vitest";
import type { OfferAnswer, PageOffer, PageState } from "../protocol/messages.ts";
import { IdleGrants, type Moment, type PageSeam } from "./idle.ts";
import { askIn } from "./page-seam.ts";

/** A page whose idle moments come when the test says so. */
class FakePage implements PageSeam {
  state: PageState = "visible";
  asked: ((moment: Moment) => void) | undefined;
  askings = 0;
  tell: (() => void) | undefined;

  watch(tell: () => void): () => void {
    this.tell = tell;
    return () => (this.tell = undefined);
  }
  ask(use: (moment: Moment) => void): () => void {
    expect(this.asked).toBeUndefined();
    this.asked = use;
    this.askings++;
    return () => (this.asked = undefined);
  }
  become(state: PageState): void {
    this.state = state;
    this.tell?.();
  }
  async idle(leftMs: number, spentMs = 0): Promise<void> {
    let left = leftMs + spentMs;
    const use = this.asked!;
    this.asked = undefined;
    use({ timeRemaining: () => Math.max(0, (left -= spentMs)) });
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

function setting() {
  const page = new FakePage();
  const offers: PageOffer[] = [];
  const pageIs = { busy: false };
  let outstanding = 0;
  const worker = {
    answer: (): Promise<OfferAnswer> => Promise.resolve({ usedMs: 4 }),
    grant: async (offer: PageOffer): Promise<OfferAnswer> => {
      offers.push(offer);
      if (offer.type === "page") return {};
      expect(++outstanding).toBe(1);
      try {
        return await worker.answer();
      } finally {
        outstanding--;
      }
    },
  };
  const idle = new IdleGrants({ page, surface: worker, budgetMs: 4, isBusy: () => pageIs.busy });
  const slices = () => offers.flatMap((o) => (o.type === "slice" ? [o.budgetMs] : []));
  return { page, idle, worker, offers, slices, pageIs };
}

describe("grants from idle moments", () => {
  test("[VG10] none is asked for while no work waits, nor before the database is open", async () => {
    const { page, idle, offers } = setting();
    expect(idle.state).toBe("visible");
    idle.work(true);
    expect(page.askings).toBe(0);
    idle.opened();
    idle.work(true);
    expect(page.askings).toBe(1);
    idle.work(false);
    await page.idle(50); // it was not withdrawn, and is of no use to anybody
    expect([page.asked, offers]).toEqual([undefined, []]);
  });

  test("[VG10] one that is asked for is not withdrawn where work waits no more, and serves what waits next", async () => {
    const { page, idle, slices } = setting();
    idle.opened();
    idle.work(true);
    const { asked } = page;
    idle.work(false);
    idle.work(true);
    expect([page.asked, page.askings]).toEqual([asked, 1]);
    await page.idle(3, 3);
    expect(slices()).toEqual([3]);
  });

  test("[VG10] a moment grants slices while it lasts, one outstanding, the last no longer than what is left", async () => {
    const { page, idle, slices } = setting();
    idle.opened();
    idle.work(true);
    await page.idle(11, 4.25);
    expect(slices()).toEqual([4, 4, 2.5]);
    expect(page.askings).toBe(2); // work still waits
    await page.idle(0.5);
    expect(slices()).toHaveLength(3);
    expect(page.askings).toBe(3);
  });

  test("[VG10] one outstanding, however long its slice takes", async () => {
    const { page, idle, worker, slices } = setting();
    let end: (answer: OfferAnswer) => void = () => undefined;
    worker.answer = () => new Promise((resolve) => (end = resolve));
    idle.opened();
    idle.work(true);
    await page.idle(3);
    idle.work(false);
    idle.work(true);
    expect([slices(), page.asked]).toEqual([[3], undefined]);
    worker.answer = () => Promise.resolve({});
    end({ usedMs: 3 });
    await settled();
    expect(slices()).toHaveLength(2); // the moment lasts
    expect(page.asked).toBeDefined();
  });

  test("[VG10] none is granted while calls are outstanding, and no second one where none was taken", async () => {
    const { page, idle, worker, slices, pageIs } = setting();
    idle.opened();
    idle.work(true);
    pageIs.busy = true;
    await page.idle(50);
    expect([slices(), page.askings]).toEqual([[], 2]);
    pageIs.busy = false;
    worker.answer = () => Promise.resolve({});
    await page.idle(50);
    expect([slices(), page.askings]).toEqual([[4], 3]);
  });

  test("[VG10] a hidden page asks for nothing and says so; in sight again it goes on", async () => {
    const { page, idle, offers } = setting();
    idle.work(true);
    page.become("hidden");
    expect(offers).toEqual([]); // the worker does not know the database yet
    idle.opened();
    expect([offers, page.askings]).toEqual([[{ type: "page", state: "hidden" }], 0]);
    page.become("visible");
    expect(offers.at(-1)).toEqual({ type: "page", state: "visible" });
    expect(page.asked).toBeDefined();
    page.become("hidden");
    await page.idle(50);
    expect(page.asked).toBeUndefined();
    page.tell?.();
    expect(offers).toHaveLength(3);
  });

  test("[VG10] with the link ends everything, and a worker that is gone is asked no more", async () => {
    const { page, idle, worker, slices } = setting();
    idle.opened();
    idle.work(true);
    worker.answer = () => Promise.reject(new Error("gone"));
    await page.idle(50);
    expect([slices(), page.asked]).toEqual([[4], undefined]);
    idle.work(true);
    expect(page.asked).toBeDefined();
    idle.dispose();
    expect([page.asked, page.tell]).toEqual([undefined, undefined]);
    idle.work(true);
    expect(page.asked).toBeUndefined();
  });
});

describe("idle moments", () => {
  const noTimers = {
    setTimeout: () => expect.unreachable("a timer is the last resort"),
    clearTimeout: () => undefined,
  };

  test("[VG10] are the browser's idle callbacks", () => {
    const asked: number[] = [];
    const realm = {
      ...noTimers,
      requestIdleCallback: (use: (moment: Moment) => void) => {
        use({ timeRemaining: () => 7 });
        return 5;
      },
      cancelIdleCallback: (id: number) => void asked.push(id),
      scheduler: { postTask: () => expect.unreachable() },
    };
    let left = 0;
    const withdraw = askIn(realm, (moment) => (left = moment.timeRemaining()));
    withdraw();
    expect([left, asked]).toEqual([7, [5]]);
  });

  test("[VG10] where these are missing, tasks of the lowest priority", async () => {
    let signal: AbortSignal | undefined;
    const scheduler = {
      postTask: async (task: () => void, options: { priority: string; signal: AbortSignal }): Promise<void> => {
        ({ signal } = options);
        expect(options.priority).toBe("background");
        task();
      },
    };
    let left = 0;
    const withdraw = askIn({ ...noTimers, scheduler }, (moment) => (left = moment.timeRemaining()));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(8);
    withdraw();
    expect(signal?.aborted).toBe(true);
  });

  test("[VG10] where these are missing too, timers", async () => {
    const realm = {
      setTimeout: (task: () => void, ms: number) => setTimeout(task, ms),
      clearTimeout: (timer: unknown) => clearTimeout(timer as number),
    };
    askIn(realm, () => expect.unreachable("it was withdrawn"))();
    const moment = await new Promise<Moment>((resolve) => void askIn(realm, resolve));
    expect(moment.timeRemaining()).toBeGreaterThan(0);
  });
});
