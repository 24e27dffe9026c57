import { describe, expect, test } from "vitest";
import { checkpoint } from "./gc/checkpoint.ts";
import { basisOf } from "./gc/floor.ts";
import { type Basis, executionsIn, readExecutions } from "./gc/journal.ts";
import { nothingDone } from "./gc/strategy.ts";
import { Tenure } from "./gc/tenure.ts";
import { Versions } from "./gc/versions.ts";
import { defaultWork } from "./gc/work.ts";
import { itemsIn, put, type Tab, World, write } from "./test-world.test-support.ts";

const small = {
  ...defaultWork,
  targetBytes: 300,
  maxStoreBytes: 700,
  levels: { minLevelBytes: 1e6, maxStepBytes: 600 },
};
const reading = { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 } as const;

function versionsOf({ database: { store } }: Tab): Versions {
  return new Versions({ store, now: () => 7, progress: () => undefined, completed: () => undefined });
}

/** Two tabs; under a view of the second, records are overwritten until blocks are full of what it alone holds. */
async function held(): Promise<{ world: World; a: Tab; b: Tab; basis: () => Promise<Basis> }> {
  const world = new World();
  const [a, b] = [await world.open(), await world.open()];
  const items = Array.from({ length: 12 }, (_, i) => ({ id: `i${i}`, n: 0, pad: "x".repeat(40) }));
  await write(
    a,
    items.map((item) => put(item)),
  );
  await b.database.begin(1, reading);
  for (let n = 1; n < 6; n++)
    await write(
      a,
      items.map((item) => put({ ...item, n })),
    );
  await world.upkeep(a, [b]);
  await b.database.end(1);
  await b.database.store.follow();
  const basis = async (): Promise<Basis> => {
    await Promise.all([world.raise(a), world.raise(b)]);
    return basisOf((await world.advance(a))!, a.database.store.fence, 7);
  };
  return { world, a, b, basis };
}

const terms = (basis: Basis) => ({ kind: "FULL_GC", basis, config: {}, before: nothingDone, isAsked: false }) as const;

async function statuses({ storage }: Tab): Promise<readonly string[]> {
  const [found] = await storage.read([readExecutions]);
  return executionsIn(found).map(({ status }) => status);
}

const stored = ({ database: { store } }: Tab): number => store.manifest.versions;

describe("a cycle", () => {
  test("[TB2][VG10] goes on in another tab at its cursor, and ends as if one tab had done all of it", async () => {
    const { a, b, basis } = await held();
    const before = stored(a);
    const versions = versionsOf(a);
    expect(await versions.plan(a.tenure!, terms(await basis()), small)).toBe(true);
    expect(await versions.step(a.tenure!, small)).toBe("went on");
    const { steps, versions: gone } = versions.cycle!;
    expect(await statuses(a)).toEqual(["RUNNING"]);

    const tenure = await Tenure.begin(b.storage);
    await b.database.store.reload();
    const others = versionsOf(b);
    await others.resume(tenure);
    expect(others.cycle).toMatchObject({ steps, versions: gone });
    expect(await versions.step(a.tenure!, small)).toBe("again"); // its next write aborts
    expect(a.tenure!.isDeposed).toBe(true);
    while ((await others.step(tenure, small)) !== "over");
    expect(others.last!.versions).toBeGreaterThan(gone);
    expect(stored(b)).toBeLessThan(before / 2);
    expect(await statuses(b)).toEqual(["COMPLETED"]);
    expect((await itemsIn(await b.database.begin(2, reading))).map(({ n }) => n)).toEqual(Array(12).fill(5));
  });

  test("[VG3] decided on a log that was struck since decides nothing any more, and is given up", async () => {
    const { a, basis } = await held();
    const before = stored(a);
    const decided = await basis();
    const versions = versionsOf(a);
    await versions.plan(a.tenure!, terms({ ...decided, log: { ...decided.log!, incarnation: 9 } }), small);
    expect(await versions.step(a.tenure!, small)).toBe("over");
    expect(await statuses(a)).toEqual(["CANCELLED"]);
    await write(a, [put({ id: "i0", n: 6 })]);
    const struck = { ...decided, log: { ...decided.log!, incarnation: 9 } };
    expect(await checkpoint(a.database.store, a.tenure!, struck, small)).toBeUndefined();
    expect(stored(a)).toBe(before);
  });

  test("[VG4] is not begun where nothing is due, and an idle database is not written to", async () => {
    const { world, a, basis } = await held();
    const versions = versionsOf(a);
    await versions.plan(a.tenure!, terms(await basis()), small);
    while ((await versions.step(a.tenure!, small)) !== "over");
    const now = await basis();
    let writes = 0;
    world.medium.onWritten = (batch) => (writes += batch.length);
    expect(await versions.plan(a.tenure!, terms(now), small)).toBe(false);
    expect(writes).toBe(0);
  });
});
