/** The race: the same records, the same work, one database after the other, who begins by turns. */
import { deleteDatabase } from "tidemark";
import { Dexie } from "dexie";
import { loadFlights } from "../atlas/dataset.ts";
import { openDexie } from "./dexie-racer.ts";
import { heat, orderOf } from "./heats.ts";
import type { Durability } from "./racer.ts";
import type { Contestant, Standings } from "./standings.ts";
import { openTidemark } from "./tidemark-racer.ts";

export const rounds = 3;

const open = { tidemark: openTidemark, dexie: openDexie };
const remove = { tidemark: deleteDatabase, dexie: (name: string) => Dexie.delete(name) };

/** `told` is called whenever there is something new in `standings`, or somebody begins. */
export async function race(
  durability: Durability,
  standings: Standings,
  told: (who: Contestant, round: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const flights = await loadFlights();
  for (let round = 0; round < rounds; round++) {
    for (const who of orderOf<Contestant>(round, ["tidemark", "dexie"])) {
      signal.throwIfAborted();
      told(who, round);
      const name = `tidemark-demo-race-${who}`;
      await remove[who](name);
      const racer = await open[who](name, durability);
      try {
        await heat(racer, flights, (work, timing) => {
          signal.throwIfAborted();
          standings.add(work.id, who, timing);
          told(who, round);
        });
      } finally {
        await racer.close();
        await remove[who](name);
      }
    }
  }
}
