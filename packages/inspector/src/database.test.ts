import { collection, createDatabase, RetentionPolicy, type StandardSchema } from "tidemark";
import { expect, expectTypeOf, test } from "vitest";
import type { InspectedDatabase } from "./database.ts";

interface Reading {
  readonly station: string;
  readonly at: Date;
  readonly values: number[];
}
declare const readingSchema: StandardSchema<Reading, Reading>;
const withSchema = () => collection({ schema: readingSchema, key: ["station", "at"] });

const db = createDatabase({
  name: "inspected",
  collections: {
    readings: collection<Reading>()({ key: ["station", "at"], indexes: { values: { path: "values", multi: true } } }),
    notes: collection<{ id: string }>()({ key: "id", autoId: true, retention: RetentionPolicy.keepLatestN(2) }),
  },
  storage: "memory",
  worker: false,
});

test("every database can be inspected, whatever it declares", async () => {
  const inspected: InspectedDatabase = db;
  expectTypeOf<
    ReturnType<typeof createDatabase<{ readings: ReturnType<typeof withSchema> }>>
  >().toExtend<InspectedDatabase>();
  const at = new Date(0);
  await db.collection("readings").put({ station: "a", at, values: [1, 2] });
  const readings = inspected.collection("readings");
  expect(readings.keyPath).toEqual(["station", "at"]);
  expect(await readings.where().above(["a"]).limit(1).toArray()).toEqual([{ station: "a", at, values: [1, 2] }]);
  expect(await readings.history(["a", at])).toHaveLength(1);
  expect(() => inspected.collection("unknown")).toThrow("unknown");
  await db.close();
});
