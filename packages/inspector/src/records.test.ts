import { expect, test } from "vitest";
import type { InspectedCollection, InspectedQuery } from "./database.ts";
import { pageSize, Records } from "./records.ts";

/** Of records `{ id }` from 0 up; counts what queries pass over. */
class Fake implements InspectedQuery {
  readonly state: { total: number; passed: number; fails: boolean };
  readonly #at: { readonly from: number; readonly isReverse: boolean; readonly skip: number; readonly most: number };

  constructor(state: Fake["state"], at = { from: 0, isReverse: false, skip: 0, most: Infinity }) {
    this.state = state;
    this.#at = at;
  }

  #with(change: object): Fake {
    return new Fake(this.state, { ...this.#at, ...change });
  }
  above(key: unknown): Fake {
    return this.#with({ from: (key as number) + 1 });
  }
  below(key: unknown): Fake {
    return new Fake({ ...this.state, total: key as number });
  }
  reverse(): Fake {
    return this.#with({ isReverse: true });
  }
  offset(skip: number): Fake {
    return this.#with({ skip });
  }
  limit(most: number): Fake {
    return this.#with({ most });
  }
  count(): Promise<number> {
    return Promise.resolve(this.state.total);
  }
  toArray(): Promise<unknown[]> {
    if (this.state.fails) return Promise.reject(new Error("damaged"));
    const { from, isReverse, skip, most } = this.#at;
    this.state.passed += skip;
    const all = Array.from({ length: Math.max(0, this.state.total - from) }, (_, i) => ({ id: from + i }));
    return Promise.resolve((isReverse ? all.reverse() : all).slice(skip, skip + most));
  }
}

function world(total: number) {
  const state = { total, passed: 0, fails: false };
  const collection: InspectedCollection = {
    keyPath: "id",
    where: () => new Fake(state),
    history: () => Promise.resolve([]),
  };
  return { state, records: new Records(collection, total, () => undefined) };
}

test("rows are there once their page was read", async () => {
  const { records } = world(120);
  expect(records.at(3)).toBeUndefined();
  expect(await records.whenRead(3)).toEqual({ key: 3, record: { id: 3 } });
  expect(records.at(49)).toMatchObject({ key: 49 });
  expect(await records.whenRead(119)).toMatchObject({ key: 119 });
  expect(await records.whenRead(120)).toBeUndefined();
});

test("going on, and going to the end, passes over nothing", async () => {
  const { records, state } = world(100_000);
  for (let position = 0; position < 1000; position += pageSize) await records.whenRead(position);
  await records.whenRead(99_999);
  await records.whenRead(99_949);
  expect(state.passed).toBe(pageSize);
  expect(await records.whenRead(2000)).toMatchObject({ key: 2000 });
  expect(state.passed).toBe(pageSize + 1000); // from the place that is known
});

test("rows stay until they are read anew, and an error until it is tried again", async () => {
  const { records, state } = world(100);
  await records.whenRead(0);
  state.total = 200;
  records.refresh(200);
  expect(records.at(0)).toMatchObject({ key: 0 });
  expect(await records.whenRead(150)).toMatchObject({ key: 150 });
  state.fails = true;
  records.refresh(200);
  await records.whenRead(0);
  expect(records.error).toMatchObject({ message: "damaged" });
  state.fails = false;
  records.retry();
  await records.whenRead(0);
  expect(records.error).toBeUndefined();
  expect(await records.positionOf(7)).toBe(7);
});
