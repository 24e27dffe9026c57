import { expect, test } from "vitest";
import type { Flight } from "../databases.ts";
import { heat, orderOf, works } from "./heats.ts";
import type { Racer } from "./racer.ts";

const flights = Array.from({ length: 2000 }, (_, i): Flight => ({
  id: i + 1,
  date: `2001-01-${String((i % 28) + 1).padStart(2, "0")}`,
  origin: i % 2 === 0 ? "ORD" : "LAX",
  destination: "DEN",
  delay: i % 90,
  distance: i,
}));

/** A database that is right by being trivial. */
function simple(): { racer: Racer; stored: Map<number, Flight> } {
  const stored = new Map<number, Flight>();
  const put = (flight: Flight): Promise<unknown> => Promise.resolve(stored.set(flight.id, flight));
  const racer: Racer = {
    put,
    insertAll: (all) => Promise.all(all.map(put)),
    get: (id) => Promise.resolve(stored.get(id)),
    from: (airport) => Promise.resolve([...stored.values()].filter(({ origin }) => origin === airport)),
    close: () => Promise.resolve(),
  };
  return { racer, stored };
}

test("every work is done once, and adds what it says", async () => {
  const { racer, stored } = simple();
  const done: string[] = [];
  await heat(racer, flights, ({ id }, { tookMs, answer }) => {
    done.push(id);
    expect(tookMs).toBeGreaterThanOrEqual(0);
    expect(answer).not.toBeNaN();
  });
  expect(done).toEqual(works.map(({ id }) => id));
  expect(stored.size).toBe(2000 + 200 + 1000);
});

test("a record that is missing shows in the answer", async () => {
  const { racer } = simple();
  const answers: number[] = [];
  const forgetful: Racer = { ...racer, get: () => Promise.resolve(undefined) };
  await heat(forgetful, flights, ({ id }, { answer }) => id === "get" && answers.push(answer));
  expect(answers).toEqual([Number.NaN]);
});

test("who begins changes from round to round", () => {
  expect([0, 1, 2].map((round) => orderOf(round, ["a", "b"])[0])).toEqual(["a", "b", "a"]);
});
