import type { PageState } from "../protocol/messages.ts";
import type { Moment, PageSeam } from "./idle.ts";

/** Where a browser tells of no deadline: an idle moment is taken to last so long. */
const assumedMs = 8;
/** Where it tells of no idle moments either: so far apart, and late where the page is busy. */
const timerMs = 32;

interface Scheduling {
  readonly requestIdleCallback?: (use: (moment: Moment) => void) => number;
  readonly cancelIdleCallback?: (id: number) => void;
  readonly scheduler?: {
    postTask?(task: () => void, options: { priority: "background"; signal: AbortSignal }): Promise<unknown>;
  };
  setTimeout(task: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** This page; `undefined` where there is none: in a worker, on a server. */
export function browserPage(): PageSeam | undefined {
  if (typeof document === "undefined") return undefined;
  let isLeft = false;
  return {
    get state(): PageState {
      return isLeft || document.visibilityState === "hidden" ? "hidden" : "visible";
    },
    watch: (tell) => {
      const listening = new AbortController();
      const { signal } = listening;
      const turn = (left: boolean) => (): void => {
        isLeft = left;
        tell();
      };
      document.addEventListener("visibilitychange", turn(false), { signal });
      addEventListener("pagehide", turn(true), { signal });
      addEventListener("pageshow", turn(false), { signal });
      return () => listening.abort();
    },
    ask: (use) => askIn(globalThis, use),
  };
}

/** Asks for the next idle moment by the best means there are. */
export function askIn(realm: Scheduling, use: (moment: Moment) => void): () => void {
  const { requestIdleCallback, cancelIdleCallback, scheduler } = realm;
  if (requestIdleCallback) {
    const id = requestIdleCallback.call(realm, use);
    return () => cancelIdleCallback?.call(realm, id);
  }
  if (scheduler?.postTask) {
    const withdrawn = new AbortController();
    const { signal } = withdrawn;
    scheduler.postTask(() => use(assumed()), { priority: "background", signal }).catch(() => undefined);
    return () => withdrawn.abort();
  }
  const timer = realm.setTimeout(() => use(assumed()), timerMs);
  return () => realm.clearTimeout(timer);
}

function assumed(): Moment {
  const until = performance.now() + assumedMs;
  return { timeRemaining: () => Math.max(0, until - performance.now()) };
}
