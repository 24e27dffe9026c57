import type { HostLink } from "./client/connectors.ts";
import type { GivenStorage } from "./client/database.ts";
import { browserEnvironment, environmentOn } from "./host/browser.ts";
import { Host } from "./host/host.ts";
import type { HostSurface } from "./protocol/messages.ts";
import type { StorageFactory } from "./storage/contract.ts";

/** A host in this realm, for `worker: false`; on this storage, where it is given. */
export function linkInline(given?: GivenStorage): HostLink {
  const environment = given && environmentOn(given as StorageFactory);
  const host = new Host(environment ? () => environment : browserEnvironment);
  return { surface: keptAlive(host), ended: new Promise(() => undefined), dispose: () => undefined };
}

/** In Node none of our timers keeps the process alive. So one of them does, as long as an answer is awaited. */
function keptAlive(host: HostSurface): HostSurface {
  return {
    hello: () => host.hello(),
    open: (request, events) => awaited(host.open(request, events)),
    // A feed waits for what may never come.
    submit: (requests) => {
      const answers = host.submit(requests);
      return requests.every(({ op }) => op === "changes") ? answers : awaited(answers);
    },
    grant: (offer) => host.grant(offer),
    close: () => awaited(host.close()),
    deleteDatabase: (name, storage) => awaited(host.deleteDatabase(name, storage)),
    listDatabases: (storage) => awaited(host.listDatabases(storage)),
  };
}

interface NodeTimer {
  ref(): void;
  unref(): void;
}
let timer: NodeTimer | undefined;
let awaitedAnswers = 0;

function awaited<T>(answer: Promise<T>): Promise<T> {
  timer ??= idleTimer();
  if (awaitedAnswers++ === 0) timer.ref();
  const ended = (): void => {
    if (--awaitedAnswers === 0) timer?.unref();
  };
  answer.then(ended, ended);
  return answer;
}

/** Elsewhere there is nothing to keep alive, or no way to stop that. */
function idleTimer(): NodeTimer {
  const made = setInterval(() => undefined, 2 ** 30);
  if (isNodeTimer(made)) return made;
  clearInterval(made);
  return noTimer;
}
const isNodeTimer = (made: unknown): made is NodeTimer => typeof (made as Partial<NodeTimer>).unref === "function";
const noTimer: NodeTimer = { ref: () => undefined, unref: () => undefined };
