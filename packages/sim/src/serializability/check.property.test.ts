import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../random.ts";
import { check } from "./check.ts";
import type { Kind, List, Operation } from "./history.ts";
import { type Draft, serialHistory } from "./serial.test-support.ts";

const terms = fc.record({
  seed: fc.integer(),
  transactions: fc.integer({ min: 40, max: 100 }),
  keys: fc.integer({ min: 1, max: 12 }),
});

/** Other tests may keep all cores busy. */
const timeout = 60_000;

test("whatever was executed one after another is found right", { timeout }, () => {
  fc.assert(
    fc.property(terms, (of) => {
      expect(check(serialHistory(of))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

type Read = Extract<Operation, { readonly op: "read" }>;
interface Place {
  readonly transaction: number;
  readonly operation: number;
  readonly read: Read;
}

const isCertain = ({ outcome }: Draft): boolean => outcome === "committed";

/** What single keys were read as, by transactions that committed and had not appended to them. */
function readsIn(history: readonly Draft[], isFit: (list: List, place: Place) => boolean): readonly Place[] {
  return history.flatMap((drawn, transaction) =>
    !isCertain(drawn)
      ? []
      : drawn.operations.flatMap((read, operation) => {
          if (read.op !== "read") return [];
          const isOwn = drawn.operations.some((other) => other.op === "append" && other.key === read.key);
          const place = { transaction, operation, read };
          return isOwn || !isFit(read.list, place) ? [] : [place];
        }),
  );
}

function replace(history: Draft[], { transaction, operation, read }: Place, list: List): void {
  const drawn = history[transaction]!;
  history[transaction] = { ...drawn, operations: drawn.operations.with(operation, { ...read, list }) };
}

const writerOf = (history: readonly Draft[], element: number): number =>
  history.findIndex(({ operations }) => operations.some((o) => o.op === "append" && o.element === element));

/** Makes a right history wrong; false where there is no place for it. `kinds`: what it is found to be. */
interface Mutation {
  readonly name: string;
  readonly kinds: readonly Kind[];
  readonly mutate: (history: Draft[], random: Random) => boolean;
}

/** Changes one read. */
const ofRead =
  (
    isFit: (list: List, place: Place, history: readonly Draft[]) => boolean,
    change: (list: List, random: Random) => List,
  ): Mutation["mutate"] =>
  (history, random) => {
    const places = readsIn(history, (list, place) => isFit(list, place, history));
    if (places.length === 0) return false;
    const place = random.pick(places);
    replace(history, place, change(place.read.list, random));
    return true;
  };

/** Takes two fresh keys and a moment, and puts transactions there, all at once. */
const inserted =
  (make: (x: string, y: string) => readonly (readonly Operation[])[]): Mutation["mutate"] =>
  (history, random) => {
    const at = random.below(history.length);
    const made = make("x", "y").map((operations, i): Draft => ({
      tab: `extra${i}`,
      invokedAt: at,
      completedAt: at + 1,
      outcome: "committed",
      operations,
    }));
    history.splice(at, 0, ...made);
    return true;
  };

const read = (key: string, ...list: List): Operation => ({ op: "read", key, list });
const append = (key: string, element: number): Operation => ({ op: "append", key, element });
const scanEmpty: Operation = { op: "scan", from: "x", to: "z", found: [] };

const endedBefore = (list: List, { transaction }: Place, history: readonly Draft[]): boolean => {
  const writer = history[writerOf(history, list.at(-1) ?? -1)];
  return writer !== undefined && isCertain(writer) && writer.completedAt < history[transaction]!.invokedAt;
};

const mutations: readonly Mutation[] = [
  {
    name: "an element twice",
    kinds: ["duplicate"],
    mutate: ofRead(
      (list) => list.length > 0,
      (list, random) => [...list, random.pick(list)],
    ),
  },
  {
    name: "an element of nobody",
    kinds: ["garbage read"],
    mutate: ofRead(
      () => true,
      (list) => [...list, -1],
    ),
  },
  {
    name: "two elements in another order",
    kinds: ["incompatible orders", "G1b"],
    mutate: (history, random) => {
      const longest = new Map<string, number>();
      const all = readsIn(history, () => true);
      for (const {
        read: { key, list },
      } of all)
        longest.set(key, Math.max(list.length, longest.get(key) ?? 0));
      // Another one has read them in their order.
      const isKnown = (place: Place): boolean =>
        all.some(
          (o) =>
            o.transaction !== place.transaction &&
            o.read.key === place.read.key &&
            o.read.list.length >= place.read.list.length,
        );
      const places = all.filter((place) => place.read.list.length > 1 && isKnown(place));
      if (places.length === 0) return false;
      const place = random.pick(places);
      const { list } = place.read;
      const i = random.below(list.length - 1);
      replace(history, place, list.with(i, list[i + 1]!).with(i + 1, list[i]!));
      return true;
    },
  },
  {
    name: "what was committed long before is not read",
    kinds: ["real-time violation", "G-single", "G2-item", "G2", "G1c", "G1b", "internal", "lost update"],
    mutate: ofRead(endedBefore, (list) => list.slice(0, -1)),
  },
  {
    name: "what was read is rolled back",
    kinds: ["G1a"],
    mutate: (history, random) => {
      const places = readsIn(history, (list, { transaction }) =>
        list.some((element) => {
          const writer = writerOf(history, element);
          return writer !== transaction && isCertain(history[writer]!);
        }),
      );
      if (places.length === 0) return false;
      const {
        transaction,
        read: { list },
      } = random.pick(places);
      const writers = list
        .map((element) => writerOf(history, element))
        .filter((w) => w !== transaction && isCertain(history[w]!));
      const writer = random.pick(writers);
      history[writer] = { ...history[writer]!, outcome: "aborted" };
      return true;
    },
  },
  {
    name: "a dirty write",
    kinds: ["G0"],
    mutate: inserted((x, y) => [
      [append(x, -1), append(y, -2)],
      [append(x, -3), append(y, -4)],
      [read(x, -1, -3), read(y, -4, -2)],
    ]),
  },
  {
    name: "an intermediate read",
    kinds: ["G1b"],
    mutate: inserted((x) => [[append(x, -1), append(x, -2)], [read(x, -1)]]),
  },
  {
    name: "circular flow",
    kinds: ["G1c"],
    mutate: inserted((x, y) => [
      [append(x, -1), read(y, -2)],
      [append(y, -2), read(x, -1)],
    ]),
  },
  {
    name: "a lost update",
    kinds: ["lost update"],
    mutate: inserted((x) => [[read(x), append(x, -1)], [read(x), append(x, -2)], [read(x, -1, -2)]]),
  },
  {
    name: "read skew",
    kinds: ["G-single"],
    mutate: inserted((x, y) => [
      [append(x, -1), append(y, -2)],
      [read(x), read(y, -2)],
    ]),
  },
  {
    name: "write skew",
    kinds: ["G2-item"],
    mutate: inserted((x, y) => [
      [read(x), append(y, -1)],
      [read(y), append(x, -2)],
    ]),
  },
  {
    name: "write skew by ranges",
    kinds: ["G2"],
    mutate: inserted((x, y) => [
      [scanEmpty, append(y, -1)],
      [scanEmpty, append(x, -2)],
    ]),
  },
  { name: "an own append that is not read", kinds: ["internal"], mutate: inserted((x) => [[append(x, -1), read(x)]]) },
];

describe("a right history is found wrong", () => {
  test.each(mutations)("with $name: $kinds", { timeout }, ({ kinds, mutate }) => {
    let mutated = 0;
    fc.assert(
      fc.property(terms, fc.integer(), (of, seed) => {
        const history = serialHistory(of);
        if (!mutate(history, new Random(seed))) return;
        mutated++;
        const found = check(history).map(({ kind }) => kind);
        expect(kinds).toContain(found[0]);
      }),
      { numRuns: 60 },
    );
    expect(mutated).toBeGreaterThan(30);
  });
});

/** What of it is executed when, or read, from one end of a large history to the other. */
const large: readonly (readonly [
  name: string,
  kinds: readonly Kind[],
  mutate: (history: readonly Draft[]) => Draft[],
])[] = [
  ["as it was executed", [], (history) => [...history]],
  [
    "in reverse",
    ["real-time violation"],
    (history) => history.map((one) => ({ ...one, invokedAt: -one.completedAt, completedAt: -one.invokedAt })),
  ],
];

test.each(large)("100 000 operations are checked in seconds: %s", { timeout }, (_, kinds, mutate) => {
  const history = mutate(serialHistory({ seed: 1, transactions: 25_000, keys: 500 }));
  const operations = history.reduce((n, drawn) => n + drawn.operations.length, 0);
  const startedAt = process.cpuUsage();
  expect(check(history).map(({ kind }) => kind)).toEqual(kinds);
  const ms = process.cpuUsage(startedAt).user / 1000;
  console.log(`  ${operations} operations in ${history.length} transactions: ${Math.round(ms)} ms of a processor`);
  expect(operations).toBeGreaterThan(95_000);
  expect(ms).toBeLessThan(20_000);
});
