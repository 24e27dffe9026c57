/** What `run.mjs` and `profile.mjs` call in the page. */
import { Fixture, type Sizes } from "./fixture.ts";
import { measureFloor } from "./floor.ts";
import { type Costs, costsAt } from "./growth.ts";
import { jsonBytes, makeItems } from "./items.ts";
import { type PeerName, peers } from "./peers/all.ts";
import type { Peer } from "./peers/peer.ts";
import { openProfiled, profiled, type Step } from "./profiled.ts";
import { arrived, join, openCold, store, watch, writeWatched } from "./tabs.ts";
import { collectGarbage, type Figures } from "./timing.ts";
import { type WorkName, works } from "./works/all.ts";

let fixture: Fixture | undefined;
let prepared: (() => Promise<unknown>) | undefined;

const calls = {
  /** What a peer says of itself. */
  about: async (name: PeerName): Promise<Pick<Peer, "title" | "answer" | "isStored" | "sharesTabs">> => {
    const { title, answer, isStored, sharesTabs } = await peers[name]();
    return { title, answer, isStored, sharesTabs };
  },
  work: async (name: PeerName, work: WorkName, sizes: Sizes): Promise<Figures> => {
    fixture ??= new Fixture(await peers[name](), sizes);
    return works[work](fixture);
  },
  floor: (sizes: Sizes): Promise<Figures> => measureFloor(sizes.awaited, sizes.records),
  jsonBytesOf: (records: number): number => jsonBytes(makeItems(records, 1)),
  store: async (name: PeerName, database: string, count: number) => store(await peers[name](), database, count),
  openCold: async (name: PeerName, database: string, id: string, count: number) =>
    openCold(await peers[name](), database, id, count),
  costsAt: async (name: PeerName, database: string, count: number): Promise<Costs> =>
    costsAt(await peers[name](), database, count),
  watch: async (name: PeerName) => watch(await peers[name]()),
  join: async (name: PeerName) => join(await peers[name]()),
  writeWatched,
  arrived,
  openProfiled,
  prepare: (step: Step, sizes: Sizes): void => {
    prepared = profiled(step, sizes);
    collectGarbage();
  },
  /** Runs what was prepared; milliseconds. */
  runPrepared: async (): Promise<number> => {
    const since = performance.now();
    await prepared?.();
    return performance.now() - since;
  },
};

declare global {
  var bench: typeof calls;
}
globalThis.bench = calls;
