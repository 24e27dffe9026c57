/** A bare page for tests of isolation between real tabs: plays its part in scripts, and does random transactions. */
import { collection, createDatabase } from "tidemark";
import { Client, indexes as listIndexes, type Row, type Terms } from "../../../packages/sim/src/histories/client.ts";
import { indexes as itemIndexes, type Isolation, Player } from "../../../packages/sim/src/isolation/player.ts";
import type { Action, Ended, Item } from "../../../packages/sim/src/isolation/script.ts";
import { Random } from "../../../packages/sim/src/random.ts";

export type { Isolation };

const items = createDatabase({
  name: "items",
  collections: { items: collection<Item>()({ key: "id", indexes: itemIndexes }) },
});
const lists = createDatabase({
  name: "lists",
  collections: { lists: collection<Row>()({ key: "id", indexes: listIndexes }) },
});

const players = new Map<string, Player>();
const stopping = new AbortController();

const page = {
  items,
  lists,
  act: (who: string, isolation: Isolation, action: Action): Promise<void> => {
    const player = players.get(who) ?? new Player(items, isolation);
    players.set(who, player);
    return player.act(action);
  },
  end: (who: string, how: "commit" | "rollback"): Promise<Ended> => {
    const player = players.get(who)!;
    players.delete(who);
    return player.end(how);
  },
  /** The `n`th client of all; it goes on until it is stopped. Answers what failed. */
  hammer: async (n: number, keys: number, tell: Terms["tell"]): Promise<readonly string[]> => {
    const random = new Random(n);
    let elements = 0;
    let told: Promise<void> = Promise.resolve();
    const client = new Client({
      db: lists,
      name: `tab${n}`,
      random,
      now: () => performance.timeOrigin + performance.now(),
      element: () => n * 1_000_000 + ++elements,
      // Nobody has to wait for what became of it to be heard.
      tell: async (id, recorded) => {
        told = tell(id, recorded);
        if (recorded.outcome === "unknown") await told;
      },
      keys,
      pause: () => new Promise((resolve) => void setTimeout(resolve, random.below(10))),
    });
    const work = async (): Promise<void> => {
      while (!stopping.signal.aborted) await client.next();
    };
    await Promise.all([work(), work(), work(), work()]);
    await client.lookAtAll();
    await told;
    return client.failures;
  },
  stop: (): void => stopping.abort(),
};

declare global {
  var isolation: typeof page;
}
globalThis.isolation = page;
