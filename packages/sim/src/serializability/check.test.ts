import { describe, expect, test } from "vitest";
import { check } from "./check.ts";
import type { Found, History, Kind, List, Operation, Recorded } from "./history.ts";

const read = (key: string, ...list: List): Operation => ({ op: "read", key, list });
const append = (key: string, element: number): Operation => ({ op: "append", key, element });
const scan = (from: string, to: string, found: Found): Operation => ({ op: "scan", from, to, found });
const lengths = (from: number, to: number, found: Found): Operation => ({ op: "lengths", from, to, found });

interface Terms extends Partial<Omit<Recorded, "operations">> {
  /** Begin and end. */
  readonly at?: readonly [number, number];
}

/** Where nothing else is said they all ran at once, each in a tab of its own. */
const history = (...transactions: readonly (readonly [Terms, ...Operation[]])[]): History =>
  transactions.map(([{ at: [invokedAt, completedAt] = [0, 100], ...terms }, ...operations], i) => ({
    tab: `tab${i}`,
    outcome: "committed",
    invokedAt,
    completedAt,
    ...terms,
    operations,
  }));

const kindsOf = (of: History): readonly Kind[] => check(of).map(({ kind }) => kind);

const rolledBack: Terms = { outcome: "aborted" };
const unknown: Terms = { outcome: "unknown", at: [0, Infinity] };
const first: Terms = { at: [0, 1], tab: "a" };
const second: Terms = { at: [2, 3], tab: "b" };

const wrong: readonly (readonly [name: string, Kind, History])[] = [
  ["an element of nobody", "garbage read", history([{}, append("x", 1)], [{}, read("x", 1, 7)])],
  ["an element of another key", "garbage read", history([{}, append("x", 1)], [{}, read("y", 1)])],
  ["an element twice", "duplicate", history([{}, append("x", 1)], [{}, read("x", 1, 1)])],
  [
    "two orders of one key",
    "incompatible orders",
    history([{}, append("x", 1)], [{}, append("x", 2)], [{}, read("x", 1, 2)], [{}, read("x", 2, 1)]),
  ],
  ["an own append unseen", "internal", history([{}, append("x", 1), read("x")])],
  ["an own append unseen by a scan", "internal", history([{}, append("x", 1), scan("a", "z", [])])],
  ["an own append seen too early", "internal", history([{}, read("x", 1), append("x", 1)])],
  [
    "writes that overwrite one another crosswise",
    "G0",
    history(
      [{}, append("x", 1), append("y", 2)],
      [{}, append("x", 3), append("y", 4)],
      [{}, read("x", 1, 3), read("y", 4, 2)],
    ),
  ],
  ["what was rolled back", "G1a", history([rolledBack, append("x", 1)], [{}, read("x", 1)])],
  ["half of what another wrote", "G1b", history([{}, append("x", 1), append("x", 2)], [{}, read("x", 1)])],
  ["each what the other wrote", "G1c", history([{}, append("x", 1), read("y", 2)], [{}, append("y", 2), read("x", 1)])],
  [
    "an update lost between two that read the same",
    "lost update",
    history([{}, read("x"), append("x", 1)], [{}, read("x"), append("x", 2)], [{}, read("x", 1, 2)]),
  ],
  [
    "an update lost by a key that both brought into a range",
    "lost update",
    history([{}, scan("a", "z", []), append("x", 1)], [{}, scan("a", "z", []), append("x", 2)], [{}, read("x", 1, 2)]),
  ],
  [
    "one key before and one after a commit",
    "G-single",
    history([{}, append("x", 1), append("y", 2)], [{}, read("x"), read("y", 2)]),
  ],
  ["one key twice, differently", "G-single", history([{}, append("x", 1)], [{}, read("x"), read("x", 1)])],
  [
    "a range before and a key after a commit",
    "G-single",
    history([{}, append("x", 1), append("y", 2)], [{}, scan("x", "xz", []), read("y", 2)]),
  ],
  [
    "a range by length before, and a key after a commit",
    "G-single",
    history(
      [{}, append("x", 1)],
      [{}, append("x", 2), append("y", 3)],
      [{}, lengths(2, 9, []), read("y", 3), read("x", 1, 2)],
    ),
  ],
  [
    "each what the other was about to change",
    "G2-item",
    history([{}, read("x"), append("y", 1)], [{}, read("y"), append("x", 2)], [{}, read("x", 2), read("y", 1)]),
  ],
  [
    "ranges that both bring a key into",
    "G2",
    history(
      [{}, scan("x", "z", []), append("y", 1)],
      [{}, scan("x", "z", []), append("x", 2)],
      [
        {},
        scan("x", "z", [
          ["x", [2]],
          ["y", [1]],
        ]),
      ],
    ),
  ],
  [
    "a batch that a reader saw closed before a deposit that then came into it",
    "G2-item",
    history(
      [{ at: [0, 90] }, read("batch"), append("deposit", 1)],
      [{ at: [10, 20] }, append("batch", 2)],
      [{ at: [30, 40] }, read("batch", 2), read("deposit")],
      [{ at: [95, 99] }, read("deposit", 1)],
    ),
  ],
  ["not what had been committed before", "real-time violation", history([first, append("x", 1)], [second, read("x")])],
  [
    "an acknowledged append nowhere",
    "real-time violation",
    history([first, append("x", 1)], [second, scan("a", "z", [])]),
  ],
  [
    "back in time within a tab",
    "real-time violation",
    history([{}, append("x", 1)], [first, read("x", 1)], [{ at: [2, 3], tab: "a", isStale: true }, read("x")]),
  ],
  [
    "what was committed only after it had ended",
    "real-time violation",
    history([first, read("x", 1)], [second, append("x", 1)]),
  ],
  [
    "what an unknown one wrote, which was then gone",
    "real-time violation",
    history([unknown, append("x", 1)], [first, read("x", 1)], [second, read("x")]),
  ],
];

describe("a history is found wrong in which somebody reads", () => {
  test.each(wrong)("%s: %s", (_, kind, of) => {
    expect(kindsOf(of)).toEqual([kind]);
  });

  test("wrong things that have nothing to do with one another: each is told", () => {
    expect(
      kindsOf(
        history(
          [{}, append("x", 1), read("y", 2)],
          [{}, append("y", 2), read("x", 1)],
          [{}, read("u"), append("v", 3)],
          [{}, read("v"), append("u", 4)],
        ),
      ),
    ).toEqual(["G1c", "G2-item"]);
  });

  test("and it is said who, what and why", () => {
    const [anomaly] = check(history([{}, read("x"), append("y", 1)], [{}, read("y"), append("x", 2)]));
    expect(anomaly).toEqual({
      kind: "G2-item",
      transactions: [0, 1],
      explanation:
        "T0 of tab0 read x without 2, which T1 of tab1 appended; T1 of tab1 read y without 1, which T0 of tab0 appended",
    });
  });
});

const right: readonly (readonly [name: string, History])[] = [
  ["nothing", history()],
  ["one after the other", history([first, append("x", 1)], [second, read("x", 1), append("x", 2), read("x", 1, 2)])],
  ["at once, in either order", history([{}, append("x", 1)], [{}, read("x")], [{}, read("x", 1)])],
  ["in one moment", history([{ at: [0, 5] }, append("x", 1)], [{ at: [5, 9] }, read("x")])],
  ["a rolled back one that nobody saw", history([rolledBack, append("x", 1)], [second, read("x")])],
  ["a rolled back one that read nonsense", history([rolledBack, read("x", 9)])],
  ["an unknown one that did not commit", history([unknown, append("x", 1)], [second, read("x")])],
  ["an unknown one that did", history([unknown, read("y"), append("x", 1)], [second, read("x", 1)])],
  ["an old state of another tab", history([first, append("x", 1)], [{ ...second, isStale: true }, read("x")])],
  ["several appends to one key", history([{}, append("x", 1), append("x", 2)], [{}, read("x", 1, 2)])],
  ["a range and what comes into it after", history([first, scan("a", "z", [])], [second, append("x", 1)])],
  [
    "a range by length that a list has left, or not reached",
    history(
      [{ at: [0, 1] }, append("x", 1), append("y", 2)],
      [{ at: [2, 3] }, append("x", 3)],
      [{ at: [4, 5] }, lengths(1, 2, [["y", [2]]])],
      [{ at: [6, 7] }, lengths(3, Infinity, [])],
      [{ at: [8, 9] }, append("x", 4)],
      [{ at: [10, 11] }, lengths(3, Infinity, [["x", [1, 3, 4]]])],
    ),
  ],
];

describe("a history is found right in which there is", () => {
  test.each(right)("%s", (_, of) => {
    expect(check(of)).toEqual([]);
  });
});

test("clocks of tabs may differ by as much as was said", () => {
  const of = history([{ at: [0, 10] }, append("x", 1)], [{ at: [12, 20] }, read("x")]);
  expect(check(of, { clockErrorMs: 1 })).toHaveLength(1);
  expect(check(of, { clockErrorMs: 2 })).toEqual([]);
});

test("a history that appends one element twice is refused", () => {
  expect(() => check(history([{}, append("x", 1)], [{}, append("y", 1)]))).toThrow(/element 1 is appended twice/);
});
