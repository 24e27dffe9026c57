import { ok } from "node:assert/strict";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { GcWorld } from "./gc-cycles.test-support.ts";
import { history, perform, type Terms, terms } from "./gc-histories.test-support.ts";
import type * as Journal from "./gc/journal.ts";
import type * as Rule from "./segments/rule.ts";
import type * as Outside from "./codec/outside.ts";
import { seq } from "./base/brand.ts";

type Judge = typeof Rule.judge;
/** What is planted. */
const planted: {
  judge: ((chain: Rule.Chain, rule: Rule.Rule, drop: Rule.Drop, judge: Judge) => readonly Rule.Kept[]) | undefined;
  isForgetful: boolean;
  isSilent: boolean;
  isGreedy: boolean;
} = { judge: undefined, isForgetful: false, isSilent: false, isGreedy: false };

vi.mock("./segments/rule.ts", async (original) => {
  const real = await original<typeof Rule>();
  const judge: Judge = (chain, rule, drop) =>
    planted.judge ? planted.judge(chain, rule, drop, real.judge) : real.judge(chain, rule, drop);
  return { ...real, judge };
});

vi.mock("./gc/journal.ts", async (original) => {
  const real = await original<typeof Journal>();
  class Removal extends real.Removal {
    override add(...args: Parameters<Journal.Removal["add"]>): void {
      if (!planted.isForgetful || args[1].seq % 2 === 0) super.add(...args);
    }
  }
  const of = (found: Parameters<typeof real.Journal.of>[0]): Journal.Journal => {
    const journal = real.Journal.of(found);
    const record = journal.record.bind(journal);
    const silent: ReturnType<typeof record> = { writes: [], written: () => undefined };
    journal.record = (told) => (planted.isSilent ? silent : record(told));
    return journal;
  };
  return { ...real, Removal, Journal: { of } };
});

vi.mock("./codec/outside.ts", async (original) => {
  const real = await original<typeof Outside>();
  const outsideLost: typeof real.outsideLost = (dropped, kept) =>
    planted.isGreedy ? real.outsideLost([...dropped, ...kept], []) : real.outsideLost(dropped, kept);
  return { ...real, outsideLost };
});

afterEach(() => Object.assign(planted, { judge: undefined, isForgetful: false, isSilent: false, isGreedy: false }));

/** What the verifier says of these histories; that a run fails besides is to be expected. */
async function reasons(seed: number, only: Partial<Terms> = {}): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const histories = fc.sample(fc.tuple(terms, history), { seed, numRuns: 40 });
  for (const [given, operations] of histories) {
    const world = new GcWorld({ ...given, ...only });
    try {
      await world.open();
      for (const operation of operations) await perform(world, operation);
    } catch {
      // The engine may notice as well.
    }
    for (const { reason } of world.verifier.violations) found.add(reason.replaceAll(/\d+/g, "N"));
  }
  return found;
}

const highest = seq(Number.MAX_SAFE_INTEGER);
const mutants: [string, typeof planted.judge, RegExp, Partial<Terms>?][] = [
  [
    "reclaims what is superseded above the floor",
    (chain, rule, drop, judge) => judge(chain, { ...rule, floor: rule.checkpoint }, drop),
    /^a reader at N (sees it|finds)/,
  ],
  [
    "asks whether it is below the floor, and not what supersedes it",
    (chain, rule, drop, judge) =>
      judge(chain, rule, drop).filter(({ version }, i) => {
        const goes = i > 0 && version.seq < rule.floor && rule.points.length === 0;
        if (goes) drop(version, chain.versions[0]!.seq, "floor");
        return !goes;
      }),
    /^a reader at N (sees it|finds)/,
    { retention: undefined },
  ],
  [
    "overlooks points",
    (chain, rule, drop, judge) => judge(chain, { ...rule, points: [] }, drop),
    /^a reader at N (sees it|finds)/,
    { proof: "interval" },
  ],
  [
    "takes the part of a chain at hand for all of it",
    (chain, rule, drop, judge) => judge({ ...chain, older: "none" }, rule, drop),
    /^a reader at N finds it instead of/,
  ],
  [
    "forgets retention",
    (chain, rule, drop, judge) => judge(chain, { ...rule, retentionOf: () => undefined }, drop),
    /^retention keeps it/,
    { retention: { latest: 3 } },
  ],
  [
    "forgets what all collections keep",
    (chain, rule, drop, judge) => judge(chain, { ...rule, retentionOf: () => undefined }, drop),
    /^retention keeps it/,
    { retention: undefined, keepForMs: 400 },
  ],
  [
    "drops deletions at the floor",
    (chain, rule, drop, judge) => judge(chain, { ...rule, floor: seq(rule.floor + 1) }, drop),
    /^a deletion at or above the floor|^a reader/,
  ],
  [
    "drops the newest",
    (chain, rule, drop, judge) => {
      const [newest, ...rest] = judge(chain, rule, drop);
      if (!newest || chain.newer || newest.version.seq >= rule.floor || newest.version.seq % 3 > 0) {
        return newest ? [newest, ...rest] : rest;
      }
      drop(newest.version, highest, "floor");
      return rest;
    },
    /^it is the newest of its key/,
  ],
];

describe("[VG12] the verifier notices a collector that", () => {
  test.each([...mutants])("%s", { timeout: 60_000 }, async (_, judge, reason, only = {}) => {
    planted.judge = judge;
    expect([...(await reasons(1, only))].join("\n")).toMatch(new RegExp(reason.source, "m"));
  });

  test("tells wrong figures", { timeout: 60_000 }, async () => {
    planted.isForgetful = true;
    expect([...(await reasons(1))].join("\n")).toMatch(/^the record says N versions, and it were N/m);
  });

  test("removes without a record", { timeout: 60_000 }, async () => {
    planted.isSilent = true;
    expect([...(await reasons(1))].join("\n")).toMatch(/^N versions went without a record/m);
  });

  test("deletes values that somebody sees", { timeout: 60_000 }, async () => {
    planted.isGreedy = true;
    expect([...(await reasons(1))].join("\n")).toMatch(/^the value that a reader at N sees is gone/m);
  });

  test("does nothing wrong: then it says nothing", { timeout: 60_000 }, async () => {
    const found = await reasons(1);
    ok(found.size === 0, [...found].join("\n"));
  });
});
