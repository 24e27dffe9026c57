import { ok } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { areSame, blob, expectSame, file } from "./codec/blobs.test-support.ts";
import { RecordBatch } from "./client/records.ts";
import type { WriteBatch } from "./codec/record.ts";
import type { Catalog } from "./codec/schema.ts";
import { faults, largestCall, sweep } from "./large-values.test-support.ts";
import { verify } from "./mvcc/verify.ts";
import type { KeepRelaxed } from "./storage/memory.ts";
import { itemsIn, type Tab, Turns, World } from "./test-world.test-support.ts";

interface Clip {
  readonly id: string;
  readonly n: number;
  readonly movie: Blob;
  readonly thumb: Blob;
  readonly at: Date;
}
const clip = (id: string, n: number, sizeBytes: number): Clip => ({
  id,
  n,
  movie: n % 2 === 0 ? blob(sizeBytes, n) : file(sizeBytes, n),
  thumb: blob(500, n),
  at: new Date(n),
});

/** As a page sends them. */
async function sent(clips: readonly Clip[], { collections }: Catalog): Promise<WriteBatch> {
  const batch = RecordBatch.of("items", "put", clips);
  if (batch.hasSmallBlobs) await batch.readBlobs();
  return batch.writes(collections["items"]!);
}

async function write({ database }: Tab, clips: readonly Clip[], durability: "relaxed" | "strict"): Promise<void> {
  const { catalog } = database;
  await database.write(await sent(clips, catalog), catalog.epoch, durability, "");
}

async function inTransaction(
  { database }: Tab,
  handle: number,
  parts: readonly Clip[][],
  commits: boolean,
): Promise<void> {
  const tx = await database.begin(handle, { tracked: true, isolation: "snapshot", fresh: true, attempt: 0 });
  try {
    for (const clips of parts) await database.stage(tx, tx.schema.epoch, await sent(clips, tx.schema.catalog));
    if (commits) await database.commit(tx, "relaxed", "");
  } finally {
    await database.end(handle).catch(() => undefined); // of what staged it nothing may be left
  }
}

async function contents({ database }: Tab): Promise<unknown[]> {
  const view = await database.begin(-1000, { tracked: false, isolation: "snapshot", fresh: true, attempt: 0 });
  const seen = await itemsIn(view);
  await database.end(-1000);
  return seen;
}

interface Action {
  readonly tab: 0 | 1;
  readonly kind: "write" | "strict" | "transaction" | "dropped";
  readonly id: string;
  readonly sizeBytes: number;
}
const action: fc.Arbitrary<Action> = fc.record({
  tab: fc.constantFrom(0, 1),
  kind: fc.constantFrom("write", "write", "strict", "transaction", "dropped"),
  id: fc.constantFrom("a", "b"),
  sizeBytes: fc.constantFrom(33_000, 300_000, 1_300_000),
});

type State = ReadonlyMap<string, Clip>;

/** Runs until the medium dies; what is found then is a state there was, none of it promised is missing, and nothing lies about. */
async function liveAndDie(actions: readonly Action[], dieAt: number, keep: KeepRelaxed): Promise<number> {
  const world = new World();
  const states: State[] = [new Map()];
  const promised = { all: 0, strictly: 0 };
  const committed = async (clips: readonly Clip[], work: () => Promise<unknown>): Promise<void> => {
    states.push(new Map([...states.at(-1)!, ...clips.map((one) => [one.id, one] as const)]));
    await work();
    promised.all = states.length - 1;
  };
  await world.untilCrash(dieAt, keep, async (tabs) => {
    for (const [i, { tab: which, kind, id, sizeBytes }] of actions.entries()) {
      const [tab, both] = [tabs[which], [clip(id, i, sizeBytes), clip("both", i, 40_000)]];
      const earlier = [clip(id, -i - 1, 70_000)];
      if (kind === "dropped") await inTransaction(tab, i + 1, [both], false);
      else if (kind === "transaction") await committed(both, () => inTransaction(tab, i + 1, [earlier, both], true));
      else await committed(both, () => write(tab, both, kind === "strict" ? "strict" : "relaxed"));
      if (kind === "strict") promised.strictly = promised.all;
    }
  });
  const tab = await world.open();
  await sweep(world, tab.storage);
  const at = Math.max(0, world.commitsThrough(tab.database.store.head.seq) - 1); // the first one is the schema's
  ok(at >= (keep === "all" ? promised.all : promised.strictly), `${at} commits found, of ${promised.all} promised`);
  const expected = [...states[at]!.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  ok(await areSame(await contents(tab), expected), `what ${at} commits left`);
  expect(await faults(tab)).toEqual([]);
  expect((await verify(tab.database.store)).damage).toEqual([]);
  return world.medium.steps;
}

test("[MV11] a blob is written and read in small transactions", async () => {
  const world = new World();
  const tab = await world.open();
  const clips = [clip("a", 1, 5_000_000), clip("b", 2, 300_000)];
  const found: unknown[] = [];
  const most = await largestCall(world, async () => {
    await write(tab, clips, "relaxed");
    found.push(...(await contents(tab)));
  });
  expect(most).toBeLessThan(260 * 1024);
  await expectSame(found, clips);
});

describe("large blobs after a crash", { timeout: 120_000 }, () => {
  test("[MV1][MV4][MV11] at any step of staging: all of it is there, or nothing is left", async () => {
    const actions: readonly Action[] = [
      { tab: 0, kind: "write", id: "a", sizeBytes: 1_300_000 },
      { tab: 1, kind: "dropped", id: "b", sizeBytes: 300_000 },
      { tab: 1, kind: "transaction", id: "b", sizeBytes: 300_000 },
      { tab: 0, kind: "strict", id: "a", sizeBytes: 33_000 },
    ];
    for (const keep of ["none", 2, "all"] as const) {
      const steps = await liveAndDie(actions, Infinity, keep);
      for (let dieAt = 1; dieAt <= steps; dieAt++) await liveAndDie(actions, dieAt, keep);
    }
  });

  test("[MV1][MV4][MV11] whatever was done, and wherever it died", async () => {
    const keeps = fc.constantFrom<KeepRelaxed>("none", "all", 1, 5);
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 8, size: "max" }),
        fc.nat(150),
        keeps,
        async (actions, dieAt, keep) => {
          await liveAndDie(actions, dieAt + 1, keep);
        },
      ),
      { numRuns: 40 },
    );
  });
});

test(
  "[MV1][MV3][MV11] tabs that write blobs at once, in any order of their storage calls: each record is whole",
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(action, { minLength: 3, maxLength: 8 }), async (seed, actions) => {
        const turns = new Turns(seed);
        const world = new World({ pause: turns.pause });
        await turns.until(
          (async () => {
            const tabs = [await world.open(), await world.open()] as const;
            const written = new Map<string, Clip[]>();
            const act = async ({ tab, kind, id, sizeBytes }: Action, i: number): Promise<void> => {
              const one = clip(id, i, sizeBytes);
              if (kind !== "dropped") written.set(id, [...(written.get(id) ?? []), one]);
              if (kind === "write" || kind === "strict") return write(tabs[tab], [one], "relaxed");
              await inTransaction(tabs[tab], i + 1, [[one]], kind === "transaction").catch((e: unknown) => {
                if (!isTidemarkError(e, "CONFLICT")) throw e;
              });
            };
            await Promise.all(actions.map(act));
            for (const found of (await contents(tabs[0])) as Clip[]) {
              const candidates = await Promise.all((written.get(found.id) ?? []).map((one) => areSame(one, found)));
              ok(candidates.includes(true), `${found.id} is whole`);
            }
            await tabs[1].database.store.follow();
            expect(await faults(tabs[1])).toEqual([]);
          })(),
        );
      }),
      { numRuns: 25 },
    );
  },
);
