/** Each row of docs/from-dexie.md, done with the real Dexie and with Tidemark on the same data, and compared. */
import "fake-indexeddb/auto";
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { declaring } from "./from-dexie/declaring.ts";
import { queries } from "./from-dexie/queries.ts";
import { readingAndWriting } from "./from-dexie/reading.ts";
import { transactionsAndMore } from "./from-dexie/transactions.ts";
import { type Row, worldOf } from "./from-dexie/world.ts";

const proofs: Readonly<Record<string, readonly Row[]>> = {
  Declaring: declaring,
  "Reading and writing": readingAndWriting,
  Queries: queries,
  "Transactions, live queries, errors": transactionsAndMore,
};

const page = readFileSync(new URL("../../../docs/from-dexie.md", import.meta.url), "utf8");
/** The rows of each table, by the heading above it. */
const tables = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string[][]] => {
      const [heading = "", ...lines] = section.split("\n");
      const rows = lines.filter((line) => /^\| (?!Dexie |---)/.test(line));
      return [heading, rows.map((row) => row.split(" | ").map((cell) => cell.replace(/^\| | *\|?$/g, "").trim()))];
    })
    .filter(([, rows]) => rows.length > 0),
);

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined); // Dexie tells of what is deleted or upgraded under it
});

test("every table has its proofs, row by row and to the letter", () => {
  expect([...tables.keys()]).toEqual(Object.keys(proofs));
  for (const [heading, rows] of tables) {
    expect(proofs[heading]!.map(([theirs, ours]) => [theirs, ours])).toEqual(rows);
  }
});

describe.each(Object.entries(proofs))("%s", (_, rows) => {
  test.each(rows)("%s → %s", async (...[, , proof]) => {
    const world = await worldOf();
    await proof(world);
    world.dexie.close();
    await world.db.close();
  });
});
