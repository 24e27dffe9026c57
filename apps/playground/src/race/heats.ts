/** The works of the race, and who does them when. */
import type { Flight } from "../databases.ts";
import { formatCount } from "../format.ts";
import type { Racer } from "./racer.ts";

/** `run` answers a number that must be the same for both. */
export interface Work {
  readonly id: string;
  readonly title: string;
  run(racer: Racer, flights: readonly Flight[]): Promise<number>;
}

const single = 200;
const together = 1000;
const reads = 500;
const airports = ["ORD", "DEN", "LAX", "PHX", "DTW", "SEA", "BOS", "MCO"];

/** Later than all that is there, so that they are new; the same for both. */
const further = (flights: readonly Flight[], from: number, count: number): Flight[] =>
  flights.slice(from, from + count).map((flight) => ({ ...flight, id: flight.id + flights.length }));
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
/** Spread over all of them. */
const everySo = (flights: readonly Flight[], count: number): Flight[] =>
  Array.from({ length: count }, (_, i) => flights[(i * 7919) % flights.length]!);

/** In this order: what comes later finds what was written before. */
export const works: readonly Work[] = [
  {
    id: "insert",
    title: "All flights in one call",
    run: async (racer, flights) => {
      await racer.insertAll(flights);
      return flights.length;
    },
  },
  {
    id: "put",
    title: `${single} puts, each awaited`,
    run: async (racer, flights) => {
      for (const flight of further(flights, 0, single)) await racer.put(flight);
      return single;
    },
  },
  {
    id: "together",
    title: `${formatCount(together)} puts under way at once`,
    run: async (racer, flights) => {
      await Promise.all(further(flights, single, together).map((flight) => racer.put(flight)));
      return together;
    },
  },
  {
    id: "get",
    title: `${reads} gets, each awaited`,
    run: async (racer, flights) => {
      let delays = 0;
      for (const { id } of everySo(flights, reads)) delays += (await racer.get(id))?.delay ?? Number.NaN;
      return delays;
    },
  },
  {
    id: "range",
    title: `Flights from ${airports.length} airports, by index`,
    run: async (racer) => {
      const found = await Promise.all(airports.map((airport) => racer.from(airport)));
      return sum(found.flat().map(({ id }, position) => id * (position % 7)));
    },
  },
];

/** Who begins changes from round to round: what the first one warms up, the second one finds warm. */
export const orderOf = <T>(round: number, [a, b]: readonly [T, T]): readonly [T, T] =>
  round % 2 === 0 ? [a, b] : [b, a];

export interface Timing {
  readonly tookMs: number;
  readonly answer: number;
}

/** All works once, one after the other, on a racer whose database is empty. */
export async function heat(
  racer: Racer,
  flights: readonly Flight[],
  done: (work: Work, timing: Timing) => void,
): Promise<void> {
  for (const work of works) {
    const startedAt = performance.now();
    const answer = await work.run(racer, flights);
    done(work, { tookMs: performance.now() - startedAt, answer });
  }
}
