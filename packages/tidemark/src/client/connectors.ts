import { proxy, type Remote, transfer, wrap } from "comlink";
import { TidemarkError } from "../base/errors.ts";
import type { HostEvent, HostSurface, Opened, Request } from "../protocol/messages.ts";

/** A way to a host: `ended` tells when it broke off by itself. */
export interface HostLink {
  readonly surface: HostSurface;
  readonly ended: Promise<TidemarkError>;
  dispose(): void;
}

/** To a host in a worker, through comlink. The first call fails with ENVIRONMENT when its script does not load. */
export function linkToWorker(worker: Worker, scriptUrl: string): HostLink {
  const remote: Remote<HostSurface> = wrap<HostSurface>(worker);
  // Each access of a comlink property makes a new proxy; calls are frequent, so keep this one.
  const submit = remote.submit;
  const ended = new Promise<TidemarkError>((resolve) => {
    worker.addEventListener("error", (e) => {
      e.preventDefault();
      const why = e.message ? `: ${e.message}` : "";
      resolve(
        new TidemarkError("ENVIRONMENT", `The database worker ${scriptUrl} did not load or crashed${why}`, {
          url: scriptUrl,
        }),
      );
    });
  });
  const broken = ended.then((e): never => {
    throw e;
  });
  broken.catch(() => undefined);
  const orEnded = async <T>(work: PromiseLike<T>): Promise<T> => Promise.race([work, broken]);
  const surface: HostSurface = {
    open: (request, events) =>
      orEnded<Opened>(
        remote.open(
          request,
          proxy((event: HostEvent) => events(event)),
        ),
      ),
    submit: (requests) => submit(transfer(requests as Request[], buffersOf(requests))),
    close: () => orEnded(remote.close()),
    deleteDatabase: (name, storage) => orEnded<Opened>(remote.deleteDatabase(name, storage)),
    listDatabases: (storage) => orEnded(remote.listDatabases(storage)),
  };
  return { surface, ended, dispose: () => worker.terminate() };
}

/** The buffers of outgoing writes: they move to the worker instead of being copied. */
function buffersOf(requests: readonly Request[]): ArrayBuffer[] {
  return requests.flatMap((r) => ("writes" in r ? [r.writes.buffer as ArrayBuffer] : []));
}
