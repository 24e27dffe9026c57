import type { Channel } from "../host/environment.ts";
import type { Process } from "./process.ts";

/** After how many ms each copy of a message arrives; none: it is lost. */
export type Fate = (message: unknown, to: Process) => readonly number[];

interface Listener {
  readonly name: string;
  readonly process: Process;
  readonly receive: (message: unknown) => void;
  isClosed: boolean;
}

/** Broadcast channels of a world. */
export class Hub {
  fate: Fate;
  /** Everything ever posted, by channel. */
  readonly posted: { readonly name: string; readonly message: unknown }[] = [];
  readonly #listeners = new Set<Listener>();

  constructor(fate: Fate) {
    this.fate = fate;
  }

  join(process: Process, name: string, receive: (message: unknown) => void): Channel {
    const self: Listener = { name, process, receive, isClosed: false };
    this.#listeners.add(self);
    return {
      post: (message) => {
        if (self.isClosed) throw new DOMException("Channel is closed", "InvalidStateError");
        this.posted.push({ name, message: structuredClone(message) });
        this.#deliver(name, message, self);
      },
      close: () => {
        self.isClosed = true;
        this.#listeners.delete(self);
      },
    };
  }

  /** As if another page of the origin had posted it. */
  inject(name: string, message: unknown): void {
    this.#deliver(name, message, undefined);
  }

  listeners(process: Process): number {
    return [...this.#listeners].filter((l) => l.process === process).length;
  }

  #deliver(name: string, message: unknown, from: Listener | undefined): void {
    for (const to of this.#listeners) {
      if (to.name !== name || to === from) continue;
      for (const ms of this.fate(message, to.process)) {
        const copy: unknown = structuredClone(message);
        void to.process.sleep(ms).then(() => {
          if (!to.isClosed) to.receive(copy);
        });
      }
    }
  }
}
