import type { HeldLock, LockRequest, Locks } from "./environment.ts";

/** Web Locks: shared by all tabs of the origin, and released by the browser when a tab dies. */
export function webLocks(manager: LockManager): Locks {
  return {
    areShared: true,
    request: (name, options = {}) =>
      new Promise((resolve, reject) => {
        const { mode = "exclusive", steal = false, timeoutMs } = options;
        let release: () => void = () => undefined;
        const held = new Promise<void>((done) => (release = done));
        // Made before the request: some runtimes call back before `request` returns.
        let lose: () => void = () => undefined;
        const lost = new Promise<void>((done) => (lose = done));
        let isOurs = false;
        const signal = timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) };
        const done = manager.request(name, steal ? { steal } : { mode, ...signal }, async () => {
          isOurs = true;
          resolve({ release, lost });
          await held;
        });
        done.catch((e: unknown) => {
          // Stolen: it rejects although its callback ran. Not granted in time: it rejects before.
          if (isOurs) lose();
          else if (isNamed(e, "TimeoutError") || isNamed(e, "AbortError")) resolve(undefined);
          else reject(e instanceof Error ? e : new Error(String(e)));
        });
      }),
    held: async () => {
      const { held } = await manager.query();
      return new Set((held ?? []).flatMap((l) => (l.name === undefined ? [] : [l.name])));
    },
  };
}

const isNamed = (e: unknown, name: string): boolean => e instanceof DOMException && e.name === name;

interface Waiting {
  readonly shared: boolean;
  grant(): void;
}
interface Entry {
  holders: { readonly shared: boolean; readonly lose: () => void }[];
  waiting: Waiting[];
}

/** Locks within one realm. `areShared`: whether all "tabs" there can be are handles of this very realm. */
export function localLocks(areShared: boolean): Locks {
  const entries = new Map<string, Entry>();
  const pump = (name: string, entry: Entry): void => {
    for (let next = entry.waiting[0]; next; next = entry.waiting[0]) {
      const free = entry.holders.length === 0 || (next.shared && entry.holders.every((h) => h.shared));
      if (!free) return;
      entry.waiting.shift();
      next.grant();
    }
    if (entry.holders.length === 0 && entries.get(name) === entry) entries.delete(name);
  };
  const request = (name: string, options: LockRequest = {}): Promise<HeldLock | undefined> =>
    new Promise((resolve) => {
      const entry = entries.get(name) ?? { holders: [], waiting: [] };
      entries.set(name, entry);
      const shared = options.mode === "shared";
      let timer: ReturnType<typeof setTimeout> | undefined;
      const grant = (): void => {
        clearTimeout(timer);
        let lose: () => void = () => undefined;
        const lost = new Promise<void>((done) => (lose = done));
        const holder = { shared, lose };
        entry.holders.push(holder);
        const release = (): void => {
          if (!entry.holders.includes(holder)) return; // stolen, or released before
          entry.holders = entry.holders.filter((h) => h !== holder);
          pump(name, entry);
        };
        resolve({ lost, release });
      };
      if (options.steal) {
        for (const h of entry.holders.splice(0)) h.lose();
        return grant();
      }
      const waiting: Waiting = { shared, grant };
      entry.waiting.push(waiting);
      if (options.timeoutMs !== undefined) {
        timer = setTimeout(() => {
          entry.waiting = entry.waiting.filter((w) => w !== waiting);
          pump(name, entry);
          resolve(undefined);
        }, options.timeoutMs);
      }
      pump(name, entry);
    });
  const held = (): Promise<ReadonlySet<string>> =>
    Promise.resolve(new Set([...entries].flatMap(([name, e]) => (e.holders.length > 0 ? [name] : []))));
  return { areShared, request, held };
}
