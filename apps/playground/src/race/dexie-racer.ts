import { Dexie, type EntityTable } from "dexie";
import type { Flight } from "../databases.ts";
import type { OpenRacer } from "./racer.ts";

export const openDexie: OpenRacer = async (name, durability) => {
  const db = new Dexie(name, {
    chromeTransactionDurability: durability,
  });
  db.version(1).stores({ flights: "id, [origin+date]" });
  await db.open();
  const flights: EntityTable<Flight, "id"> = db.table("flights");
  return {
    insertAll: (all) => flights.bulkPut([...all]),
    put: (flight) => flights.put(flight),
    get: (id) => flights.get(id),
    from: (airport) =>
      flights.where("[origin+date]").between([airport, Dexie.minKey], [airport, Dexie.maxKey]).toArray(),
    close: async () => db.close(),
  };
};
