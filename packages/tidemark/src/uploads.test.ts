import { deepStrictEqual } from "node:assert/strict";
import { beforeEach, describe, expect, test } from "vitest";
import { contents, puts, records, upload } from "./large-commits.test-support.ts";
import { bodies, chunkKeys, faults, stagedRows } from "./large-values.test-support.ts";
import { add, type Change, put, type Tab, World, write } from "./test-world.test-support.ts";

let world: World;
let a: Tab;
beforeEach(async () => {
  world = new World();
  a = await world.open();
});

const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function expectContents(expected: readonly Change[]): Promise<void> {
  await a.database.idle();
  await aWhile();
  const auditor = await world.open();
  const items = new Map(expected.map(({ id, item }) => [id, item]));
  const all = [...items.values()].toSorted((x, y) => (x!.id < y!.id ? -1 : 1));
  for (const tab of [a, auditor]) deepStrictEqual(await contents(tab), all);
  deepStrictEqual(await faults(auditor), []);
  deepStrictEqual(await stagedRows(a.storage), []);
}

/** Everything that is written to store `blobs` while it runs. */
async function blobWrites(work: () => Promise<unknown>): Promise<number> {
  const before = world.medium.stats.commits;
  await work();
  return world.medium.stats.commits - before;
}

describe("a long write in parts", () => {
  test("[MV1][MV11] of new keys is stored before its end comes, and published as it lies", async () => {
    const changes = puts(1, 2000);
    let early: readonly number[] = [];
    await upload(a, changes, "relaxed", async () => {
      await aWhile();
      early = await chunkKeys(a.storage);
    });
    expect(early.length).toBeGreaterThan(4);
    const [body] = await bodies(a.storage);
    expect(body!.id).toBeLessThan(early[0]!);
    expect(await chunkKeys(a.storage)).toEqual(expect.arrayContaining([...early]));
    await expectContents(changes);
  });

  test("[MV11] that seems to overwrite is not stored ahead", async () => {
    await write(a, puts(1, 300));
    const changes = puts(2, 300);
    let early = 0;
    await upload(a, changes, "relaxed", async () => {
      await aWhile();
      early = (await stagedRows(a.storage)).length;
    });
    expect(early).toBe(0);
    await expectContents(changes);
  });

  test("[MV1][MV11] that turns out to overwrite is stored anew, and nothing else stays", async () => {
    await write(a, puts(1, 300));
    const changes = [...puts(2, 1500, 1000), ...puts(2, 300)];
    const { existed } = await upload(a, changes, "relaxed", aWhile);
    expect(existed.filter(Boolean)).toHaveLength(300);
    await expectContents(changes);
    expect(await bodies(a.storage)).toHaveLength(2);
  });

  test("[MV1] writes a key that it names twice once, the last time", async () => {
    const changes = [...puts(1, 1500), ...puts(2, 10, 700)];
    await upload(a, changes, "relaxed", aWhile);
    await expectContents(changes);
  });

  test("[MV3] one of whose keys is taken is refused, and nothing of it stays", async () => {
    await write(a, puts(1, 1, 1200));
    const changes = records(2, 1500).map(add);
    await expect(upload(a, changes, "relaxed", aWhile)).rejects.toMatchObject({
      code: "CONSTRAINT",
      details: { failures: [{ position: 1200 }] },
    });
    await expectContents(puts(1, 1, 1200));
  });

  test("[MV3] is judged anew where another tab came first, and published as it lies where that changes nothing", async () => {
    const b = await world.open();
    const changes = puts(2, 1500);
    let n = 0;
    await upload(a, changes, "relaxed", async () => {
      await aWhile();
      if (n++ === 2) await write(b, puts(1, 300, 5000));
    });
    await expectContents([...puts(1, 300, 5000), ...changes]);
  });

  test("[MV3] overwrites what another tab wrote to its keys meanwhile", async () => {
    const b = await world.open();
    const changes = puts(2, 1500);
    let n = 0;
    const { existed } = await upload(a, changes, "relaxed", async () => {
      await aWhile();
      if (n++ === 2) await write(b, puts(1, 300));
    });
    expect(existed.filter(Boolean)).toHaveLength(300);
    await expectContents(changes);
  });

  test("[MV1] of which a part is missing, double or of another one is refused by the schema's epoch, to be sent whole", async () => {
    const { uploads, schema } = a.database;
    const part = { upload: 1, position: 0, count: 10, maxBytes: 100, writes: new Uint8Array() };
    const end = (id: number, parts: number) =>
      a.database.write({ writes: new Uint8Array(), upload: { id, parts } }, schema.epoch, "relaxed", "");
    const refused = { code: "CONFLICT", details: { by: "schema" } };
    await expect(end(1, 1)).rejects.toMatchObject(refused);
    uploads.take(part);
    await expect(end(1, 2)).rejects.toMatchObject(refused);
    uploads.take(part);
    uploads.take({ ...part, position: 2 });
    await expect(end(1, 2)).rejects.toMatchObject(refused);
    uploads.take({ ...part, position: 1 });
    await expect(end(1, 1)).rejects.toMatchObject(refused);
    uploads.take(part);
    uploads.drop(1);
    await expect(end(1, 1)).rejects.toMatchObject(refused);
    await expectContents([]);
  });

  test("[MV11] that never ends is forgotten when others come, and what was stored of it goes", async () => {
    const { uploads } = a.database;
    for (let id = 1; id < 10; id++) {
      uploads.take({ upload: id, position: 0, count: 10, maxBytes: 400_000, writes: new Uint8Array() });
      await aWhile();
    }
    expect((await stagedRows(a.storage)).length).toBeLessThanOrEqual(4);
    for (let id = 1; id < 10; id++) uploads.drop(id);
    await expectContents([]);
  });

  test("costs no storage call for what is small", async () => {
    expect(await blobWrites(() => upload(a, [put({ id: "a", n: 1 })], "relaxed", aWhile))).toBeLessThan(3);
    await expectContents([put({ id: "a", n: 1 })]);
  });
});
