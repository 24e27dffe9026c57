import { Component, type ReactNode, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { collection, createDatabase, type Database, deleteDatabase } from "tidemark";

export interface Note {
  readonly id: string;
  readonly list: number;
  readonly text: string;
  readonly tags?: readonly string[];
}
const collections = {
  notes: collection<Note>()({ key: "id", indexes: { list: "list" } }),
  pairs: collection<{ a: string; at: Date; n: number }>()({ key: ["a", "at"] }),
};
export type Notes = Database<typeof collections>;

/** A database whose live queries, and who subscribes to them, are counted. */
export interface Counted {
  readonly db: Notes;
  /** Subscriptions that have not ended. */
  readonly subscribed: () => number;
  readonly runs: () => number;
}

let n = 0;
const ends: (() => unknown)[] = [];

export function counted(db: Notes): Counted {
  let [subscribed, runs] = [0, 0];
  const live: Notes["live"] = (query) => {
    const made = db.live((q) => {
      runs++;
      return query(q);
    });
    const subscribe = made.subscribe.bind(made);
    made.subscribe = (observer) => {
      const told = typeof observer === "function" ? { next: observer } : observer;
      let isOver = false;
      const over = (): void => {
        if (!isOver) subscribed--;
        isOver = true;
      };
      subscribed++;
      const subscription = subscribe({
        next: (value) => told.next?.(value),
        error: (e) => {
          over();
          told.error?.(e);
        },
      });
      const leave = (): void => {
        over();
        subscription();
      };
      return Object.assign(leave, { unsubscribe: leave });
    };
    return made;
  };
  const watched = new Proxy(db, {
    get: (target, name) => {
      if (name === "live") return live;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { db: watched, subscribed: () => subscribed, runs: () => runs };
}

/** On a worker and IndexedDB. */
export function open(name = `react ${n++}`): Notes {
  const db = createDatabase({ name, collections });
  ends.push(() => db.close().then(() => deleteDatabase(name, { worker: false })));
  return db;
}

export interface Shown {
  readonly root: Root;
  /** What is on the page. */
  readonly text: () => string;
  readonly show: (what: ReactNode) => void;
}

export function show(what: ReactNode, strict = true): Shown {
  const place = document.body.appendChild(document.createElement("div"));
  const root = createRoot(place, { onCaughtError: () => undefined });
  const showNow = (next: ReactNode): void => root.render(strict ? <StrictMode>{next}</StrictMode> : next);
  showNow(what);
  ends.unshift(() => {
    root.unmount();
    place.remove();
  });
  return { root, text: () => place.textContent, show: showNow };
}

export async function endAll(): Promise<void> {
  for (const end of ends.splice(0)) await end();
}

interface BoundaryState {
  readonly error: unknown;
}

/** Shows the message of what was thrown; `reset` tries again. */
export class Boundary extends Component<{
  readonly children: ReactNode;
  readonly watch?: (reset: () => void) => void;
}> {
  override state: BoundaryState = { error: undefined };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { error };
  }

  override componentDidMount(): void {
    this.props.watch?.(() => this.setState({ error: undefined }));
  }

  override render(): ReactNode {
    const { error } = this.state;
    return error === undefined ? this.props.children : `failed: ${(error as Error).message}`;
  }
}
