import { collection, openDatabase } from "tidemark";
import type { Flight } from "../databases.ts";
import type { OpenRacer } from "./racer.ts";

export const openTidemark: OpenRacer = async (name, durability) => {
  const db = await openDatabase({
    name,
    durability,
    collections: {
      flights: collection<Flight>()({
        key: "id",
        indexes: { originDate: ["origin", "date"] },
      }),
    },
  });
  const flights = db.collection("flights");
  return {
    insertAll: (all) => flights.putMany(all),
    put: (flight) => flights.put(flight),
    get: (id) => flights.get(id),
    from: (airport) => flights.where("originDate").startsWith([airport]).toArray(),
    close: () => db.close(),
  };
};
