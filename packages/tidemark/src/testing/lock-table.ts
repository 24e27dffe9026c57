import type { HeldLock, LockRequest } from "../host/environment.ts";
import type { Process } from "./process.ts";

interface Holder {
  readonly process: Process;
  readonly shared: boolean;
  readonly lose: () => void;
}
interface Waiter {
  readonly process: Process;
  readonly shared: boolean;
  readonly grant: () => void;
}

/** Locks as browsers have them: granted in order, kept by the frozen, freed by death. */
export class LockTable {
  readonly #held = new Map<string, Holder[]>();
  readonly #waiting = new Map<string, Waiter[]>();

  request(process: Process, name: string, options: LockRequest): Promise<HeldLock | undefined> {
    const shared = options.mode === "shared";
    const holders = entryOf(this.#held, name);
    const waiting = entryOf(this.#waiting, name);
    return new Promise((resolve) => {
      const grant = (): void => {
        let lose: () => void = () => undefined;
        const lost = new Promise<void>((tell) => (lose = () => void process.awake().then(() => tell())));
        const holder = { process, shared, lose };
        holders.push(holder);
        resolve({ lost, release: () => this.#drop(name, holder) });
      };
      if (options.steal) {
        for (const holder of holders.splice(0)) holder.lose();
        return grant();
      }
      const waiter = { process, shared, grant };
      waiting.push(waiter);
      this.#pump(name);
      const { timeoutMs } = options;
      if (timeoutMs === undefined || !waiting.includes(waiter)) return;
      void process.sleep(timeoutMs).then(() => {
        if (!waiting.includes(waiter)) return;
        waiting.splice(waiting.indexOf(waiter), 1);
        this.#pump(name);
        resolve(undefined);
      });
    });
  }

  heldNames(by?: Process): string[] {
    const isHeld = (holders: readonly Holder[]): boolean => holders.some((h) => by === undefined || h.process === by);
    return [...this.#held].flatMap(([name, holders]) => (isHeld(holders) ? [name] : []));
  }

  freeAll(process: Process): void {
    for (const [name, waiting] of this.#waiting) {
      const others = waiting.filter((w) => w.process !== process);
      waiting.splice(0, waiting.length, ...others);
      const own = entryOf(this.#held, name).filter((h) => h.process === process);
      for (const holder of own) this.#drop(name, holder);
    }
  }

  #drop(name: string, holder: Holder): void {
    const holders = entryOf(this.#held, name);
    const at = holders.indexOf(holder);
    if (at < 0) return; // stolen, or released before
    holders.splice(at, 1);
    this.#pump(name);
  }

  #pump(name: string): void {
    const holders = entryOf(this.#held, name);
    const waiting = entryOf(this.#waiting, name);
    for (let next = waiting[0]; next; next = waiting[0]) {
      if (holders.length > 0 && !(next.shared && holders.every((h) => h.shared))) return;
      waiting.shift();
      next.grant();
    }
  }
}

function entryOf<T>(map: Map<string, T[]>, name: string): T[] {
  const entry = map.get(name) ?? [];
  map.set(name, entry);
  return entry;
}
