/**
 * Figures over time in bounded memory. When it is full every other point goes, and from then on points are taken half as
 * often: the whole time stays visible, in coarser steps. The newest point is always there, exact.
 */
export class Series<K extends string> {
  readonly #names: readonly K[];
  readonly #most: number;
  readonly #times: number[] = [];
  readonly #values: Readonly<Record<K, number[]>>;
  /** Least time between two points that stay. */
  #stepMs = 0;

  /** @param most how many points are kept: an even number, 4 at least */
  constructor(names: readonly K[], most = 512) {
    this.#names = names;
    this.#most = most;
    this.#values = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]>;
  }

  get length(): number {
    return this.#times.length;
  }
  /** In the unit that `add` was given, ascending. */
  get times(): readonly number[] {
    return this.#times;
  }

  of(name: K): readonly number[] {
    return this.#values[name];
  }

  add(at: number, values: Readonly<Record<K, number>>): void {
    const { length } = this.#times;
    // The last point moves along until it is a step away from the one before it.
    if (length > 1 && at - this.#times[length - 2]! < this.#stepMs) this.#pop();
    else if (length >= this.#most) this.#halve();
    this.#times.push(at);
    for (const name of this.#names) this.#values[name].push(values[name]);
  }

  #pop(): void {
    this.#times.pop();
    for (const name of this.#names) this.#values[name].pop();
  }

  #halve(): void {
    const [first, last] = [this.#times[0]!, this.#times.at(-1)!];
    this.#stepMs = ((last - first) / this.#times.length) * 2;
    for (const list of [this.#times, ...this.#names.map((name) => this.#values[name])]) {
      const kept = list.filter((_, i) => i % 2 === 0);
      list.splice(0, list.length, ...kept);
    }
  }
}

/** The last so many, oldest first. */
export function pushBounded<T>(list: readonly T[], item: T, most: number): T[] {
  return [...list.slice(Math.max(0, list.length + 1 - most)), item];
}
