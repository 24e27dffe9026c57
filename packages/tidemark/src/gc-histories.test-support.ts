/** Random histories of a `GcWorld`. */
import fc from "fast-check";
import type { Retention } from "./codec/retention.ts";
import type { Proof } from "./gc/floor.ts";
import type { GcWorld } from "./gc-cycles.test-support.ts";
import { type Change, del, put } from "./test-world.test-support.ts";

const ids = ["a", "b", "c", "d", "e", "f"];
const id = fc.constantFrom(...ids);
const which = fc.nat(5);
const minuteMs = 60_000;
const name = fc.constantFrom("s", "t", "u");

type Draft = { readonly id: string; readonly at: number | undefined; readonly pad: number } | { readonly id: string };
const draft: fc.Arbitrary<Draft> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      id,
      at: fc.option(fc.nat(2), { nil: undefined, freq: 4 }),
      pad: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(0, 30, 150, 400) },
        { weight: 1, arbitrary: fc.constant(33_000) },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ id }) },
);
const drafts = fc.uniqueArray(draft, { minLength: 1, maxLength: 4, selector: (d) => d.id });
const rounds = fc.array(drafts, { minLength: 1, maxLength: 6, size: "max" });

const simple = fc.oneof(
  { weight: 10, arbitrary: fc.record({ op: fc.constant("write" as const), which, rounds }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("clear" as const), which }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("view" as const), which }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("release" as const), which }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("snapshot" as const), which, name }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("viewOn" as const), which, name }) },
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant("fold" as const), answers: fc.boolean(), compactions: fc.nat(4) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("cycle" as const),
      kind: fc.constantFrom("YOUNG_ONLY" as const, "YOUNG_AND_MIDDLE" as const, "FULL_GC" as const),
      steps: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(100)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("full" as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("dryRun" as const), limit: fc.constantFrom(1, 2, 7, 1000) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("handOver" as const, "cancel" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("die" as const), which }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 90 }) }) },
);
type Simple = typeof simple extends fc.Arbitrary<infer T> ? T : never;

const crash = fc.record({
  op: fc.constant("crash" as const),
  dieAt: fc.integer({ min: 1, max: 120 }),
  keep: fc.constantFrom("all" as const, "none" as const, 1, 3),
  during: simple,
});
const operation = fc.oneof({ weight: 14, arbitrary: simple }, { weight: 1, arbitrary: crash });
export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const changeOf = (world: GcWorld, d: Draft): Change => {
  if (!("pad" in d)) return del(d.id);
  const { id: key, at, pad } = d;
  const n = world.nextN();
  return put({ id: key, n, pad: `${n},`.repeat(pad).slice(0, pad), ...(at === undefined ? {} : { at }) });
};

export async function perform(world: GcWorld, o: Operation): Promise<void> {
  switch (o.op) {
    case "write":
      for (const round of o.rounds)
        await world.write(
          o.which,
          round.map((d) => changeOf(world, d)),
        );
      return;
    case "clear":
      return world.clear(o.which);
    case "view":
      return world.view(o.which);
    case "viewOn":
      return world.view(o.which, o.name);
    case "release":
      return world.release(o.which);
    case "snapshot":
      return world.snapshot(o.which, o.name);
    case "fold":
      return world.fold(o.answers, o.compactions);
    case "cycle":
      return world.cycle(o.kind, o.steps);
    case "full":
      return void (await world.fullRun());
    case "dryRun":
      return void (await world.dryRun(o.limit));
    case "handOver":
      return world.handOver();
    case "cancel":
      return world.endCycle();
    case "die":
      return world.die(o.which);
    case "pass":
      return world.world.pass(o.minutes * minuteMs);
    default:
      return world.crashing(o.dieAt, o.keep, () => perform(world, o.during satisfies Simple));
  }
}

const retention: fc.Arbitrary<Retention | undefined> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Retention>(
      { latest: 1 },
      { latest: 2 },
      { latest: 4 },
      {
        ranges: [
          [5, 5],
          [12, 20],
        ],
      },
      { forMs: 70 * minuteMs },
      { latest: 2, ranges: [[9, 9]], forMs: 20 * minuteMs },
    ),
  },
);

export interface Terms {
  readonly proof: Proof;
  readonly retention: Retention | undefined;
  readonly keepForMs: number | undefined;
}
export const terms: fc.Arbitrary<Terms> = fc.record({
  proof: fc.constantFrom<Proof>("floor", "interval"),
  retention,
  keepForMs: fc.constantFrom(undefined, undefined, undefined, 20 * minuteMs, 70 * minuteMs),
});
export const history: fc.Arbitrary<Operation[]> = fc.array(operation, { minLength: 4, maxLength: 24, size: "max" });
