import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultGenerations, type GenerationOptions, generationOptions } from "../codec/generations.ts";
import { type Choice, chooseRun, generationOf, type GenerationState, type RunKind } from "./generations.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = 1_800_000_000_000;

interface Case extends Partial<Omit<GenerationState, "sizes">> {
  readonly sizes?: Partial<GenerationState["sizes"]>;
  readonly options?: Partial<GenerationOptions>;
  readonly is: readonly [RunKind, Choice["reason"], string?];
}

/** Nothing is due in it. */
const stateOf = ({ sizes, lastRun, oldestAt, pressure }: Case): GenerationState => ({
  sizes: { young: 0, middle: 0, old: 0, ...sizes },
  lastRun: lastRun ?? { young: now, full: now },
  ...(oldestAt ? { oldestAt } : {}),
  now,
  pressure: pressure ?? 0,
});

const cases: Readonly<Record<string, Case>> = {
  "no garbage": { is: ["NO_OP", "nothing reclaimable"] },
  "no garbage, whatever the time and the room": {
    lastRun: { young: 0, full: 0 },
    pressure: 1,
    oldestAt: { young: 0, middle: 0, old: 0 },
    is: ["NO_OP", "nothing reclaimable"],
  },
  "a little of everything": {
    sizes: { young: 9999, middle: 49_999, old: 99_999 },
    is: ["NO_OP", "below every threshold"],
  },
  "much young": { sizes: { young: 10_000 }, is: ["YOUNG_ONLY", "size", "young"] },
  "much middle": { sizes: { middle: 50_000 }, is: ["YOUNG_AND_MIDDLE", "size", "young middle"] },
  "much old": { sizes: { old: 100_000 }, is: ["FULL_GC", "size", "young middle old"] },
  "much of everything": { sizes: { young: 1e6, middle: 1e6, old: 1e6 }, is: ["FULL_GC", "size"] },
  "young, minutes ago": {
    sizes: { young: 1 },
    lastRun: { young: now - 5 * minute, full: now },
    is: ["YOUNG_ONLY", "frequency"],
  },
  "young, a moment ago": {
    sizes: { young: 1 },
    lastRun: { young: now - 5 * minute + 1, full: now },
    is: ["NO_OP", "below every threshold"],
  },
  "only middle, minutes ago": {
    sizes: { middle: 1 },
    lastRun: { young: now - 5 * minute, full: now },
    is: ["NO_OP", "below every threshold"],
  },
  "full, hours ago": {
    sizes: { young: 1 },
    lastRun: { young: now, full: now - 24 * hour },
    is: ["FULL_GC", "frequency"],
  },
  "a clock set back": {
    sizes: { young: 1 },
    lastRun: { young: now + day, full: now },
    is: ["YOUNG_ONLY", "frequency"],
  },
  "young, an hour old": { sizes: { young: 1 }, oldestAt: { young: now - hour }, is: ["YOUNG_ONLY", "age"] },
  "middle, a week old": {
    sizes: { middle: 1 },
    oldestAt: { middle: now - 7 * day },
    is: ["YOUNG_AND_MIDDLE", "age", "middle young"],
  },
  "old, months old": {
    sizes: { young: 1, middle: 1, old: 1 },
    oldestAt: { young: now - 2 * hour, middle: now, old: now - 90 * day },
    is: ["FULL_GC", "age", "young old middle"],
  },
  "an age without garbage": {
    sizes: { young: 1 },
    oldestAt: { old: now - 900 * day },
    is: ["NO_OP", "below every threshold"],
  },
  "little room, old": { sizes: { old: 1 }, pressure: 0.9, is: ["FULL_GC", "pressure"] },
  "little room, middle": { sizes: { middle: 1 }, pressure: 1, is: ["YOUNG_AND_MIDDLE", "pressure"] },
  "little room, young": { sizes: { young: 1 }, pressure: 1, is: ["YOUNG_ONLY", "pressure"] },
  "room enough": { sizes: { young: 1 }, pressure: 0.89, is: ["NO_OP", "below every threshold"] },
  "aggressive: a tenth of the size": {
    sizes: { young: 1000 },
    options: { aggressiveMode: true },
    is: ["YOUNG_ONLY", "size"],
  },
  "aggressive: a tenth of the time": {
    sizes: { young: 1 },
    lastRun: { young: now - minute / 2, full: now },
    options: { aggressiveMode: true },
    is: ["YOUNG_ONLY", "frequency"],
  },
  "aggressive: a tenth of the age": {
    sizes: { old: 1 },
    oldestAt: { old: now - 9 * day },
    options: { aggressiveMode: true },
    is: ["FULL_GC", "age", "old young middle"],
  },
  "a smaller size of one's own": { sizes: { middle: 7 }, options: { middleSize: 7 }, is: ["YOUNG_AND_MIDDLE", "size"] },
};

const choose = (c: Case): Choice => chooseRun(stateOf(c), generationOptions(c.options));

describe("the choice of a run", () => {
  test.each(Object.entries(cases))("[GM6] %s", (_, one) => {
    const [kind, reason, order] = one.is;
    const choice = choose(one);
    expect([choice.kind, choice.reason]).toEqual([kind, reason]);
    if (order !== undefined) expect(choice.order.join(" ")).toBe(order);
  });

  test("[GM6] every kind is reached, for each reason that it can have", () => {
    const reached = new Set(Object.values(cases).map((c) => `${choose(c).kind} ${choose(c).reason}`));
    const runs = ["YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"];
    const all = runs.flatMap((kind) => ["pressure", "size", "age", "frequency"].map((reason) => `${kind} ${reason}`));
    const never = "YOUNG_AND_MIDDLE frequency"; // the two frequencies are those of young and full runs
    const none = ["NO_OP nothing reclaimable", "NO_OP below every threshold"];
    expect([...reached].toSorted()).toEqual([...all.filter((r) => r !== never), ...none].toSorted());
  });

  const size = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200_000 }));
  const ago = fc.integer({ min: -day, max: 400 * day });
  const states = fc.record({
    sizes: fc.record({ young: size, middle: size, old: size }),
    oldestAt: fc.record({ young: ago, middle: ago, old: ago }, { requiredKeys: [] }),
    lastRun: fc.record({ young: ago, full: ago }),
    now: fc.constant(0),
    pressure: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const extent = ({ kind }: Choice): number => ["NO_OP", "YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC"].indexOf(kind);

  test("[GM6] is a function of what it is told, looks at each generation once, and at none without garbage", () => {
    fc.assert(
      fc.property(states, (state) => {
        const choice = chooseRun(state);
        expect(chooseRun(structuredClone(state))).toEqual(choice);
        const all = ["young", "middle", "old"].slice(0, extent(choice));
        expect([...choice.order].toSorted()).toEqual(all.toSorted());
        const { young, middle, old } = state.sizes;
        if (young + middle + old === 0) expect(choice.reason).toBe("nothing reclaimable");
      }),
      { numRuns: 1000 },
    );
  });

  test("[GM6] more garbage, less room, or the aggressive mode never makes a run smaller", () => {
    fc.assert(
      fc.property(states, fc.constantFrom("young", "middle", "old"), size, (state, generation, more) => {
        const before = extent(chooseRun(state));
        const sizes = { ...state.sizes, [generation]: state.sizes[generation] + more };
        expect(extent(chooseRun({ ...state, sizes }))).toBeGreaterThanOrEqual(before);
        expect(extent(chooseRun({ ...state, pressure: 1 }))).toBeGreaterThanOrEqual(before);
        expect(extent(chooseRun(state, { ...defaultGenerations, aggressiveMode: true }))).toBeGreaterThanOrEqual(
          before,
        );
      }),
      { numRuns: 1000 },
    );
  });

  test("[GM6] generations are where the store keeps things", () => {
    expect([2, 3, 4, 5].map((level) => generationOf(level, 2, 5))).toEqual(["young", "middle", "middle", "old"]);
    expect(generationOf(5, 5, 5)).toBe("young");
  });
});
