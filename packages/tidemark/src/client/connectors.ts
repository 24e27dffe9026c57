import { proxy, type Remote, transfer, wrap } from "comlink";
import { TidemarkError } from "../base/errors.ts";
import {
  type HostEvent,
  type HostSurface,
  type Listed,
  type Opened,
  protocolVersion,
  type Request,
} from "../protocol/messages.ts";

/** A way to a host: `ended` tells when it broke off by itself. */
export interface HostLink {
  readonly surface: HostSurface;
  readonly ended: Promise<TidemarkError>;
  dispose(): void;
}

/** A worker says so when its script does not load, but not when the script is another one: then it is just silent. */
const silentMs = 15_000;

/**
 * To a host in a worker, through comlink. Calls fail with ENVIRONMENT when its script does not load, is not Tidemark's
 * or comes from another build.
 */
export function linkToWorker(worker: Worker, scriptUrl: () => string, maxSilentMs: number = silentMs): HostLink {
  const remote: Remote<HostSurface> = wrap<HostSurface>(worker);
  // Each access of a comlink property makes a new proxy; calls are frequent, so keep this one.
  const submit = remote.submit;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ended = new Promise<TidemarkError>((resolve) => {
    const end = (why: string): void => resolve(environment(`The database worker ${scriptUrl()} ${why}`, scriptUrl()));
    worker.addEventListener("error", (e) => {
      e.preventDefault();
      end(`did not load or crashed${e.message ? `: ${e.message}` : ""}`);
    });
    timer = setTimeout(() => end(`did not answer within ${maxSilentMs} ms`), maxSilentMs);
    const greeted = (version: unknown): void => {
      clearTimeout(timer);
      if (version !== protocolVersion) end("comes from another build of Tidemark than the page; reload the page");
    };
    remote.hello().then(greeted, greeted);
  });
  const broken = ended.then((e): never => {
    throw e;
  });
  broken.catch(() => undefined);
  const orEnded = async <T>(work: PromiseLike<T>): Promise<T> => Promise.race([work, broken]);
  const surface: HostSurface = {
    hello: () => orEnded(remote.hello()),
    open: (request, events) =>
      orEnded<Opened>(
        remote.open(
          request,
          proxy((event: HostEvent) => events(event)),
        ),
      ),
    submit: (requests) => submit(transfer(requests as Request[], buffersOf(requests))),
    close: () => orEnded<Opened>(remote.close()),
    deleteDatabase: (name, storage) => orEnded<Opened>(remote.deleteDatabase(name, storage)),
    listDatabases: (storage) => orEnded<Listed>(remote.listDatabases(storage)),
  };
  const dispose = (): void => {
    clearTimeout(timer);
    worker.terminate();
  };
  return { surface, ended, dispose };
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

/** The buffers of outgoing writes: they move to the worker instead of being copied. */
function buffersOf(requests: readonly Request[]): ArrayBuffer[] {
  return requests.flatMap((r) => ("writes" in r ? [r.writes.buffer as ArrayBuffer] : []));
}
