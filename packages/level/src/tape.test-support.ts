/**
 * As much of tape as abstract-level's own test suite uses, on vitest. A test ends when the promise that it answers
 * resolves; where it answers none, when it says so or has made all the assertions that it planned.
 */
import { expect, test } from "vitest";

/** Assertions that were made, in all tests of a file. */
export const made = { assertions: 0 };

export function tape(name: string, body: (t: Tape) => unknown): void {
  test(`abstract-level: ${name}`, async () => {
    const t = new Tape();
    const returned = body(t);
    await (returned instanceof Promise ? returned : t.ended);
    if (t.failures.length > 0) throw t.failures[0];
    expect(t.made).toBe(t.planned ?? t.made);
  });
}

class Tape {
  planned: number | undefined;
  made = 0;
  /** They do not end the test by themselves, as in tape: what throws into an event may be heard by nobody. */
  readonly failures: unknown[] = [];
  readonly ended: Promise<void>;
  #end: () => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  plan(n: number): void {
    this.planned = n;
  }
  end(): void {
    this.#end();
  }

  pass(): void {
    this.#assert(() => undefined);
  }
  fail(reason: unknown): void {
    this.#assert(() => expect.unreachable(String(reason)));
  }
  ok(value: unknown): void {
    this.#assert(() => expect(value).toBeTruthy());
  }
  is(actual: unknown, expected: unknown): void {
    this.#assert(() => expect(actual).toBe(expected));
  }
  isNot(actual: unknown, expected: unknown): void {
    this.#assert(() => expect(actual).not.toBe(expected));
  }
  same(actual: unknown, expected: unknown): void {
    this.#assert(() => expect(actual).toStrictEqual(expected));
  }
  throws(body: () => unknown, isExpected: (error: unknown) => boolean): void {
    this.#assert(() => expect(body).toThrow(expect.toSatisfy(isExpected)));
  }
  doesNotThrow(body: () => unknown): void {
    this.#assert(() => expect(body).not.toThrow());
  }

  #assert(assertion: () => void): void {
    made.assertions++;
    this.made++;
    try {
      assertion();
    } catch (e) {
      this.failures.push(e);
    }
    if (this.made === this.planned) this.#end();
  }
}
