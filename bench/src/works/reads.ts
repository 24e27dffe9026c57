import type { Fixture } from "../fixture.ts";
import { assertNumber } from "../fixture.ts";
import { type Item, lists, pickIds, randomFrom } from "../items.ts";
import type { Table } from "../peers/peer.ts";
import { eachTimed, median, timed } from "../timing.ts";
import type { Work } from "./work.ts";

const warmReads = 3;

/** Everything, as records: first right after opening again, then warm. */
export const scan: Work = async (fixture) => {
  const { items } = await fixture.cold();
  const scanned = async (): Promise<number> => {
    let found: readonly Item[] = [];
    const ms = await timed(async () => (found = await items.all()));
    fixture.assertItems(found, fixture.items, "A scan");
    return ms;
  };
  return coldAndWarm("scan", scanned);
};

/** Random keys in one call. */
export const keys: Work = async (fixture) => {
  const { items } = await fixture.cold();
  const byId = new Map(fixture.items.map((item) => [item.id, item]));
  let seed = 20;
  const read = async (): Promise<number> => {
    const ids = pickIds(fixture.items, fixture.sizes.keys, ++seed);
    let found: readonly (Item | undefined)[] = [];
    const ms = await timed(async () => (found = await items.getMany(ids)));
    fixture.assertItems(
      found,
      ids.map((id) => byId.get(id)),
      "Reading many",
    );
    return ms;
  };
  return coldAndWarm("keys", read);
};

/** Random keys, one after the other, each awaited. */
export const gets: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const byId = new Map(fixture.items.map((item) => [item.id, item]));
  const ids = pickIds(fixture.items, fixture.sizes.awaited, 30);
  const found: (Item | undefined)[] = [];
  const get = await eachTimed(ids, async (id) => found.push(await items.get(id)));
  fixture.assertItems(
    found,
    ids.map((id) => byId.get(id)),
    "Reading one by one",
  );
  return { get };
};

/** A tenth of all records by an index, in its order. */
export const range: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const random = randomFrom(40);
  const ranged = async (): Promise<number> => {
    const from = random() % 9000;
    let found: readonly Item[] = [];
    const ms = await timed(async () => (found = await items.amountBetween(from, from + 1000)));
    const expected = fixture.items.filter(({ amount }) => amount >= from && amount < from + 1000);
    fixture.assertItems(found, expected, "A range");
    return ms;
  };
  await ranged();
  return { range: await medianOf(7, ranged) };
};

/** How many there are, and how many with one value of an index. */
export const counts: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const count = await medianOf(warmReads, () => timed(() => items.count()));
  assertNumber(await items.count(), fixture.items.length, "The count");
  return { count, countIndex: await countOfLists(fixture, items) };
};

async function countOfLists({ items: all, sizes }: Fixture, items: Table): Promise<number> {
  const random = randomFrom(50);
  const asked = Array.from({ length: Math.min(sizes.awaited, 50) }, () => random() % lists);
  const found: number[] = [];
  const ms = await eachTimed(asked, async (listId) => found.push(await items.countOfList(listId)));
  for (const [i, listId] of asked.entries()) {
    assertNumber(found[i]!, all.filter((item) => item.listId === listId).length, `The count of list ${listId}`);
  }
  return ms;
}

async function coldAndWarm(name: string, run: () => Promise<number>): Promise<Record<string, number>> {
  const cold = await run();
  return { [`${name}Cold`]: cold, [name]: await medianOf(warmReads, run) };
}

async function medianOf(times: number, run: () => Promise<number>): Promise<number> {
  const each: number[] = [];
  for (let i = 0; i < times; i++) each.push(await run());
  return median(each);
}
