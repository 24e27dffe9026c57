import { Dexie } from "dexie";
import { afterEach, test } from "vitest";
import { provesImport } from "./dexie-import.test-support.ts";
import { deleteDatabase } from "./index.ts";

afterEach(async () => {
  await Promise.all([Dexie.delete("dexie-browser"), deleteDatabase("dexie-browser-new")]);
});

test("a database that Dexie made in this browser is imported as it is", () => provesImport("dexie-browser", 3000, {}));
