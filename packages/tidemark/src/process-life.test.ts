import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Runs a program of its own, with a database in memory; what it printed when it had ended by itself. */
async function printed(program: string): Promise<string> {
  const door = new URL("./index.ts", import.meta.url).href;
  const source = `
    import { collection, openDatabase } from ${JSON.stringify(door)};
    const collections = { notes: collection()({ key: "id" }) };
    const options = { name: "n", collections, storage: "memory", worker: false, memtableMaxBytes: 65536 };
    const db = await openDatabase(options);
    const notes = db.collection("notes");
    ${program}`;
  const args = ["--input-type=module", "--eval", source];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return stdout.trim();
}

test("a Node process lives until what it awaits is answered, and no longer", async () => {
  // So much that writing has to wait for upkeep, which rests between its steps.
  const many = `
    const text = "x".repeat(1000);
    for (let i = 0; i < 40; i++) await notes.putMany(Array.from({ length: 500 }, (_, k) => ({ id: i * 500 + k, text })));
    console.log(await notes.count());`;
  expect(await printed(many)).toBe("20000");
}, 60_000);

test("a feed that nobody writes to does not keep a Node process", async () => {
  const feed = `
    void db.changes()[Symbol.asyncIterator]().next();
    await notes.put({ id: 1 });
    console.log("written");`;
  expect(await printed(feed)).toBe("written");
}, 60_000);
