/** Executes transactions one after another, and makes it look as if they had overlapped. */
import { Random } from "../random.ts";
import type { Found, List, Operation, Recorded } from "./history.ts";

interface Terms {
  readonly seed: number;
  readonly transactions: number;
  readonly keys: number;
}

const tabs = 4;
/** Lists go on under another key from here on, or a history were as large as the square of its length. */
const maxLength = 20;
const most = { operations: 7, ranges: 50 };

export type Draft = { -readonly [F in keyof Recorded]: Recorded[F] };

export function serialHistory({ seed, transactions, keys }: Terms): Draft[] {
  const random = new Random(seed);
  const state = new State();
  let element = 0;
  const operation = (): Operation => {
    const base = `k${String(random.below(keys)).padStart(4, "0")}`;
    const key = state.current(base);
    const draw = random.next();
    if (draw < 0.4) {
      state.append(key, ++element);
      return { op: "append", key, element };
    }
    if (draw < 0.55) return { op: "scan", from: base, to: `${base}~`, found: state.under(base) };
    if (draw > 0.7 || keys > most.ranges) return { op: "read", key, list: state.list(key) };
    const from = 1 + random.below(maxLength);
    const to = from + 1 + random.below(maxLength);
    return { op: "lengths", from, to, found: state.between(from, to) };
  };
  return Array.from({ length: transactions }, (_, at) => {
    const operations = Array.from({ length: 1 + random.below(most.operations) }, operation);
    const isCommitted = random.chance(0.9);
    const isHeard = random.chance(0.95);
    state.end(isCommitted);
    return {
      tab: `tab${random.below(tabs)}`,
      invokedAt: at - random.next() * tabs,
      completedAt: isHeard ? at + random.next() * tabs : Infinity,
      outcome: isHeard ? (isCommitted ? "committed" : "aborted") : "unknown",
      operations,
    };
  });
}

/** What there is, and above it what the transaction under way has appended. */
class State {
  readonly #committed = new Map<string, List>();
  readonly #draft = new Map<string, List>();

  list(key: string): List {
    return this.#draft.get(key) ?? this.#committed.get(key) ?? [];
  }

  append(key: string, element: number): void {
    this.#draft.set(key, [...this.list(key), element]);
  }

  end(isCommitted: boolean): void {
    if (isCommitted) for (const [key, list] of this.#draft) this.#committed.set(key, list);
    this.#draft.clear();
  }

  current(base: string): string {
    return this.#generations(base).at(-1)!;
  }

  under(base: string): Found {
    return this.#filled(this.#generations(base));
  }

  between(from: number, to: number): Found {
    const keys = new Set([...this.#committed.keys(), ...this.#draft.keys()]);
    return this.#filled([...keys]).filter(([, { length }]) => from <= length && length < to);
  }

  #filled(keys: readonly string[]): Found {
    return keys.map((key) => [key, this.list(key)] as const).filter(([, list]) => list.length > 0);
  }

  #generations(base: string): readonly string[] {
    const keys = [`${base}/000`];
    while (this.list(keys.at(-1)!).length >= maxLength) keys.push(`${base}/${String(keys.length).padStart(3, "0")}`);
    return keys;
  }
}
