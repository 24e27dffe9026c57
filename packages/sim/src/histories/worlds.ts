/** Worlds of tabs that die, freeze and lose power, and what their clients recorded. */
import type { Tab } from "tidemark/testing";
import type { Engine } from "../engine.ts";
import { Random } from "../random.ts";
import type { Recorded } from "../serializability/history.ts";
import { Client, indexes, type Lists, type Row } from "./client.ts";

export interface RecordedWorld {
  readonly history: readonly Recorded[];
  /** Codes of errors that calls ended with. */
  readonly failures: readonly string[];
  readonly kills: number;
  readonly powerCuts: number;
}

/** So long clients are at it. */
const lastsMs = 1500;
const keys = 6;

type World = InstanceType<Engine["World"]>;

/** One tab after another, each begun anew where the one before has died. */
interface Seat {
  tab: Tab;
  client: Client;
  collect: () => Promise<unknown>;
  /** Resolves when the tab has died: what is awaited in it nobody ever hears of. */
  gone: Promise<void>;
  die: () => void;
}

export async function recordWorld(engine: Pick<Engine, "World" | "collection">, seed: number): Promise<RecordedWorld> {
  const world = new engine.World({ seed });
  const stage = new Stage(engine, world, new Random(seed));
  await world.time.until(stage.play(), 600_000);
  return stage;
}

class Stage implements RecordedWorld {
  kills = 0;
  powerCuts = 0;
  readonly #engine: Pick<Engine, "World" | "collection">;
  readonly #world: World;
  readonly #random: Random;
  readonly #clients: Client[] = [];
  readonly #seats: Seat[];
  readonly #debtMaxCommits: number;
  readonly #told = new Map<string, Recorded>();
  #elements = 0;

  constructor(engine: Pick<Engine, "World" | "collection">, world: World, random: Random) {
    this.#engine = engine;
    this.#world = world;
    this.#random = random;
    this.#debtMaxCommits = random.pick([30, 100_000]);
    if (random.chance(0.3)) world.hub.fate = () => (random.chance(0.3) ? [] : [random.next() * 20]);
    this.#seats = Array.from({ length: 2 + random.below(4) }, () => this.#begin());
  }

  get history(): readonly Recorded[] {
    return [...this.#told.values()];
  }
  get failures(): readonly string[] {
    return this.#clients.flatMap((client) => client.failures);
  }

  async play(): Promise<void> {
    const until = this.#world.now + lastsMs;
    const atOnce = 1 + this.#random.below(4);
    const working = this.#seats.flatMap((seat) => Array.from({ length: atOnce }, () => this.#work(seat, until)));
    await this.#befall(until);
    await Promise.all(working);
    await this.#begin().client.lookAtAll();
  }

  #begin(): Seat {
    const world = this.#world;
    const name = `tab${this.#clients.length}`;
    const tab = world.tab(name);
    const lists: Lists = this.#engine.collection<Row>()({ key: "id", indexes });
    const db = tab.createDatabase({
      name: "histories",
      collections: { lists },
      durability: "strict", // so whatever was acknowledged outlives a power cut
      gc: { debtMaxCommits: this.#debtMaxCommits },
    });
    const random = new Random(this.#random.seed());
    const client = new Client({
      db,
      name,
      random,
      now: () => world.now,
      element: () => ++this.#elements,
      tell: async (id, recorded) => void this.#told.set(id, recorded),
      keys,
      pause: () => world.sleep(random.below(20)),
    });
    this.#clients.push(client);
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const die = (): void => {
      tab.kill();
      resolve();
    };
    return { tab, client, collect: async () => db.checkpoint().then(() => db.gc.run()), gone, die };
  }

  async #work(seat: Seat, until: number): Promise<void> {
    while (this.#world.now < until) await Promise.race([seat.client.next(), seat.gone]);
  }

  async #befall(until: number): Promise<void> {
    const random = this.#random;
    while (this.#world.now < until) {
      await this.#world.sleep(random.below(150));
      const seat = random.pick(this.#seats);
      const what = random.weighted([
        [4, "collect"],
        [2, "kill"],
        [3, "freeze"],
        [1, "power"],
      ]);
      if (what === "collect") void seat.collect().catch(() => undefined);
      else if (what === "kill") this.#kill(seat);
      else if (what === "freeze") void this.#freeze(seat.tab, random.pick([10, 100, 1000]));
      else this.#cutPower();
    }
  }

  #kill(seat: Seat): void {
    this.kills++;
    seat.die();
    Object.assign(seat, this.#begin());
  }

  async #freeze(tab: Tab, ms: number): Promise<void> {
    tab.freeze();
    await this.#world.sleep(ms);
    tab.thaw();
  }

  /** Everybody dies, and of what was not made durable a suffix is gone. */
  #cutPower(): void {
    this.powerCuts++;
    for (const { die } of this.#seats) die();
    this.#world.medium.crash({ keepRelaxed: this.#random.pick(["none", "all", this.#random.below(5)] as const) });
    for (const seat of this.#seats) Object.assign(seat, this.#begin());
  }
}
