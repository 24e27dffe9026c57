import { TidemarkError } from "../base/errors.ts";
import { type Form, real } from "../codec/form.ts";
import { isWebKit } from "../base/webkit.ts";
import { Caller } from "../protocol/calls.ts";
import { listedForm, offerAnswerForm, openedForm } from "../protocol/forms.ts";
import { type HostEvent, type HostSurface, protocolVersion, type Response } from "../protocol/messages.ts";
import { answerOf } from "./answers.ts";
import type { PageSeam } from "./idle.ts";
import { packed } from "./packing.ts";
import { browserPage } from "./page-seam.ts";
import { untilEnded } from "./until-ended.ts";
import { endedAside, workerDied } from "./worker-death.ts";

/** A way to a host. */
export interface HostLink {
  readonly surface: HostSurface;
  /** The page whose idle moments are of use to that host; absent where the host has no thread of its own. */
  readonly page?: PageSeam | undefined;
  /**
   * Tells when it broke off by itself: a worker loss (see worker-death.ts) where the worker had been there, else why
   * there is none. Calls under way end with it, except those of `submit`, whose requests each end in their own way.
   */
  readonly ended: Promise<TidemarkError>;
  dispose(): void;
}

/** A worker says so when its script does not load, but not when the script is another one: then it is just silent. */
const silentMs = 15_000;

/**
 * To a host in a worker. Calls fail with ENVIRONMENT when its script does not load, is not Tidemark's
 * or comes from another build. A worker that dies (a crash, out of memory) says nothing in general, so it holds a lock
 * for life, and the page waits for that lock.
 */
export function linkToWorker(worker: Worker, scriptUrl: () => string, maxSilentMs: number = silentMs): HostLink {
  const remote = new Caller(worker);
  const disposed = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ended = new Promise<TidemarkError>((resolve) => {
    let isThere = false;
    const end = (why: string): void => resolve(environment(`The database worker ${scriptUrl()} ${why}`, scriptUrl()));
    worker.addEventListener("error", (e) => {
      e.preventDefault();
      const said = e.message ? `: ${e.message}` : "";
      if (isThere) resolve(workerDied(`it crashed${said}`));
      else end(`did not load or crashed${said}`);
    });
    worker.addEventListener("messageerror", () => {
      // Whose answer it was nobody can tell, and who waits for it would do so for ever.
      if (isThere) resolve(workerDied("a message of it could not be read"));
      else end("says what cannot be read");
    });
    let isAside = false;
    const leave = (): void => {
      isAside = true;
      worker.terminate();
    };
    whenPutAside(leave, () => resolve(endedAside()), disposed.signal);
    timer = setTimeout(() => end(`did not answer within ${maxSilentMs} ms`), maxSilentMs);
    const lock = `tidemark-worker/${randomId()}`;
    const meet = async (): Promise<void> => {
      // Asked for before anything else, so that the worker has it before it begins to work.
      const [version, isHeld] = await Promise.all([
        remote.call("hello", []).catch(() => undefined),
        remote.call("holdForLife", [lock]).catch(() => false),
      ]);
      clearTimeout(timer);
      isThere = version === protocolVersion;
      if (!isThere) return end("comes from another build of Tidemark than the page; reload the page");
      const isFree = isHeld && (await becomesFree(lock, disposed.signal));
      if (isFree && !isAside) resolve(workerDied("it crashed or ran out of memory"));
    };
    void meet();
  });
  const orEnded = untilEnded(ended);
  const call = <T>(method: keyof HostSurface, form: Form<T>, ...args: readonly unknown[]): Promise<T> =>
    orEnded(answerOf(method, remote.call(method, args), form));
  const surface: HostSurface = {
    hello: () => call("hello", real),
    open: (request, events) => {
      remote.hear = (event) => events(event as HostEvent);
      return call("open", openedForm, request);
    },
    submit: (requests) => {
      const moved: ArrayBuffer[] = [];
      return remote.call("submit", [packed(requests, moved)], moved) as Promise<readonly Response[]>;
    },
    grant: (offer) => call("grant", offerAnswerForm, offer),
    close: () => call("close", openedForm),
    deleteDatabase: (name, storage) => call("deleteDatabase", openedForm, name, storage),
    listDatabases: (storage) => call("listDatabases", listedForm, storage),
  };
  const dispose = (): void => {
    clearTimeout(timer);
    disposed.abort();
    worker.terminate();
  };
  return { surface, page: browserPage(), ended, dispose };
}

/**
 * WebKit (seen in 2.50) puts a page aside together with its worker, in the middle of a transaction if there is one, and
 * for that every other tab would wait. So there the worker ends, and the page has another one once it is back.
 */
function whenPutAside(left: () => void, back: () => void, signal: AbortSignal): void {
  if (typeof document === "undefined" || !isWebKit(navigator.userAgent)) return;
  const whereKept = (use: () => void) => (e: PageTransitionEvent) => {
    if (e.persisted) use();
  };
  // Before the app's own listeners: what these ask for is for the next worker.
  addEventListener("pagehide", whereKept(left), { signal, capture: true });
  addEventListener("pageshow", whereKept(back), { signal, capture: true });
}

const randomId = (): string => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** Whether the lock became free before we lost interest. A page that is frozen or put aside hears of it later. */
async function becomesFree(lock: string, signal: AbortSignal): Promise<boolean> {
  try {
    await navigator.locks.request(lock, { signal }, () => undefined);
    return !signal.aborted;
  } catch {
    return false;
  }
}

/** The worker that `make` makes. @throws ENVIRONMENT when it makes none. */
export function makeWorker(make: () => Worker, scriptUrl: () => string): Worker {
  let worker: unknown;
  try {
    worker = make();
  } catch (e) {
    throw environment(`The database worker ${scriptUrl()} could not be started: ${String(e)}`, scriptUrl(), e);
  }
  if (isWorker(worker)) return worker;
  throw environment(`The database worker ${scriptUrl()} is not a Worker`, scriptUrl());
}

function isWorker(value: unknown): value is Worker {
  if (typeof value !== "object" || value === null) return false;
  const methods: readonly (keyof Worker)[] = ["postMessage", "addEventListener", "terminate"];
  return methods.every((m) => typeof (value as Partial<Worker>)[m] === "function");
}

const environment = (message: string, url: string, cause?: unknown): TidemarkError =>
  new TidemarkError("ENVIRONMENT", message, { url }, cause);
