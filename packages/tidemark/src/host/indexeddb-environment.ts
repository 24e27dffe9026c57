import { TidemarkError } from "../base/errors.ts";
import { indexedDbStorage } from "../storage/indexeddb.ts";
import type { Environment } from "./environment.ts";
import { localLocks, webLocks } from "./web-locks.ts";

/** A browser without Web Locks has tabs that these locks do not reach; Node, Deno and Bun have one process. */
const isBrowser = typeof document !== "undefined" || "WorkerGlobalScope" in globalThis;
const realmLocks = localLocks(!isBrowser);

/** The environment of a browser's page or worker, or of Node, Deno and Bun, on IndexedDB. */
export function indexedDbEnvironment(): Environment {
  const manager = (globalThis.navigator as { locks?: LockManager } | undefined)?.locks;
  return {
    clock: {
      now: () => Date.now(),
      sleep: (ms) =>
        new Promise((resolve) => {
          const timer: unknown = setTimeout(resolve, ms);
          unref(timer);
        }),
    },
    ticks: () => performance.now(),
    giveWay,
    random: { next: () => Math.random(), id: randomId },
    locks: manager ? webLocks(manager) : realmLocks,
    channel: (name, receive) => {
      const channel = new BroadcastChannel(name);
      channel.addEventListener("message", (e: MessageEvent<unknown>) => receive(e.data));
      unref(channel);
      return { post: (message) => channel.postMessage(message), close: () => channel.close() };
    },
    storage: () => {
      if (typeof indexedDB !== "undefined") return indexedDbStorage();
      throw new TidemarkError(
        "ENVIRONMENT",
        "IndexedDB is not available here. Choose storage: 'memory' if losing the data at the end is acceptable.",
        { missing: "indexedDB" },
      );
    },
  };
}

/** 128 random bits; `crypto.randomUUID` is missing where there is no HTTPS, and such pages may use us too. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** In Node a timer or channel of ours must not keep the process alive. */
function unref(handle: unknown): void {
  (handle as { unref?: () => void }).unref?.();
}

/**
 * A task of its own, behind those that wait. Not a timer: nested ones are held back for 4 ms each. Not
 * `scheduler.yield`: what goes on after it goes ahead of the answers of storage.
 */
function giveWay(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener("message", () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(undefined);
  });
}
