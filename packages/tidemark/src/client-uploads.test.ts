import { describe, expect, test } from "vitest";
import { isTidemarkError } from "./base/errors.ts";
import { readWrites } from "./codec/record.ts";
import {
  catalogOf,
  databaseOn,
  FakeHost,
  plainAnswer,
  type Rows,
  schemaChanged,
  settle,
} from "./client/fake-host.test-support.ts";
import { collection } from "./index.ts";
import type { Request } from "./protocol/messages.ts";
import { simulate, type World } from "./testing/world.ts";

const many = (count = 4500): { id: string; v: number }[] =>
  Array.from({ length: count }, (_, i) => ({ id: `r${i}`, v: i }));

async function open(): Promise<{
  readonly db: Rows;
  readonly host: FakeHost;
  readonly rows: ReturnType<typeof rowsOf>;
}> {
  const host = new FakeHost();
  const db = databaseOn(host);
  await db.open();
  return { db, host, rows: rowsOf(db) };
}
const rowsOf = (db: Rows) => db.collection("rows");
const writesIn = (r: Request | undefined): number =>
  readWrites({ writes: r?.op === "part" ? r.part.writes : r?.op === "write" ? r.writes : new Uint8Array() }).length;

describe("many records in one call", () => {
  test("[MV1] are with the worker in parts before the call is over", async () => {
    const { rows, host } = await open();
    const written = rows.putMany(many());
    expect(host.ops).toEqual(["part", "part", "part", "part"]);
    await written;
    expect(host.requests.map(writesIn)).toEqual([1000, 1000, 1000, 1000, 500]);
    expect(host.requests.at(-1)).toMatchObject({ op: "write", upload: { parts: 4 } });
    expect(host.requests[0]).toMatchObject({ part: { count: 4500, position: 0 } });
  });

  test("are taken as they are at the call", async () => {
    const { rows, host } = await open();
    const records = many();
    const written = rows.putMany(records);
    for (const record of records) Object.assign(record, { id: "changed" });
    expect((await written)[4499]).toBe("r4499");
    expect(readWrites(host.requests.at(-1) as { writes: Uint8Array }).at(-1)!.key).toContain("r4499");
  });

  test("[MV1] of which a late one is refused: the rest is dropped, and nothing is written", async () => {
    const { rows, host } = await open();
    const records: unknown[] = many();
    records[4000] = { v: 1 };
    await expect(rows.putMany(records as { id: string }[])).rejects.toMatchObject({ code: "KEY_INVALID" });
    records[4000] = { id: "x", v: () => 1 };
    await expect(rows.putMany(records as { id: string }[])).rejects.toMatchObject({
      code: "VALUE_UNSUPPORTED",
      message: expect.stringContaining("rows[4000].v") as string,
    });
    const parts = ["part", "part", "part", "part", "part-drop"];
    expect(host.ops).toEqual([...parts, ...parts]);
  });

  test("[MV6] of which a late one takes the long way go in one message", async () => {
    const { rows, host } = await open();
    const records: unknown[] = many();
    records[4200] = { id: "x", v: new Map([[1, 2]]) };
    await rows.putMany(records as { id: string }[]);
    expect(host.ops).toEqual(["part", "part", "part", "part", "part-drop", "write"]);
    expect(writesIn(host.requests.at(-1))).toBe(4500);
  });

  test("[MV10] that the worker refuses, by the schema or since it lacks a part, are sent once more, whole", async () => {
    const { rows, host } = await open();
    let refusals = 0;
    host.answer = (r) => {
      if (r.op === "write" && refusals++ === 0) throw schemaChanged;
      return plainAnswer(r);
    };
    await rows.putMany(many());
    expect(host.ops.slice(4)).toEqual(["write", "catalog", "write"]);
    expect(writesIn(host.requests.at(-1))).toBe(4500);
    expect(host.requests.at(-1)).not.toHaveProperty("upload");
  });

  test("[MV1] wait for their turn whole", async () => {
    const { db, rows, host } = await open();
    host.answer = (r) => (r.op === "clear" ? catalogOf(2) : plainAnswer(r));
    const cleared = rows.clear(); // holds the line
    const written = rows.putMany(many());
    expect(host.ops).not.toContain("part");
    await Promise.all([cleared, written]);
    expect(writesIn(host.requests.findLast(({ op }) => op === "write"))).toBe(4500);
    await db.close();
  });

  test("[MV12] whose worker dies end as any write that was sent, and go to the next one in parts again", async () => {
    const [first, next] = [new FakeHost(), new FakeHost()];
    const db = databaseOn(first, next);
    await db.open();
    const written = rowsOf(db).putMany(many());
    const ended = written.catch((e: unknown) => e);
    first.die();
    expect(await ended).toMatchObject({ code: "STORAGE_LOST", details: { outcome: "unknown" } });
    await settle();
    await rowsOf(db).putMany(many());
    expect(next.ops).toEqual(["part", "part", "part", "part", "write"]);
  });
});

const seed = Date.now() % 1_000_000;
const things = collection<{ id: string; v: number; pad: string }>()({ key: "id", indexes: { v: "v" } });

/** What may come in between. */
const mishaps: Readonly<Record<string, (world: World, at: number) => Promise<void>>> = {
  nothing: async () => undefined,
  "a power cut": async (world, at) => {
    await world.sleep(at);
    world.medium.crash({ keepRelaxed: 0 });
  },
  "a lost connection": async (world, at) => {
    await world.sleep(at);
    world.medium.crash({ keepRelaxed: "all" });
  },
  "a full disk": async (world, at) => {
    await world.sleep(at);
    world.medium.quotaBytes = 300_000;
  },
};

test.each(Object.keys(mishaps))(
  `[MV1][MV9][MV11] many records and %s: all of them are there, or none, seed ${seed}`,
  { timeout: 120_000 },
  (what) =>
    simulate(
      async (world) => {
        for (let i = 0; i < 12; i++) {
          world.medium.quotaBytes = Infinity;
          const name = `${what} ${i}`;
          const db = world.tab(name).createDatabase({ name, collections: { things } });
          await db.open();
          const records = Array.from({ length: 3000 }, (_, k) => ({ id: `${i}/${k}`, v: k % 7, pad: "p".repeat(100) }));
          const mishap = mishaps[what]!(world, 20 * world.random.next());
          const isWritten = await db
            .collection("things")
            .putMany(records)
            .then(
              () => true,
              (e: unknown) => {
                if (!isTidemarkError(e, "STORAGE_LOST") && !isTidemarkError(e, "QUOTA_EXCEEDED")) throw e;
                return false;
              },
            );
          await mishap;
          world.medium.quotaBytes = Infinity;
          const counts = [
            await db.collection("things").count(),
            await db.collection("things").where("v").aboveOrEqual(0).count(),
          ];
          expect([0, 3000]).toContain(counts[0]);
          expect(counts[1]).toBe(counts[0]);
          if (isWritten && what !== "a power cut") expect(counts[0]).toBe(3000);
          expect((await db.verify()).damage).toEqual([]);
          await db.close();
        }
      },
      { seed },
    ),
);
