/**
 * Opening, as nearly every program begins: its page has no more than this at once. The client is loaded while the worker
 * starts, which takes longer, so that nobody waits for either.
 */
import { TidemarkError } from "./base/errors.ts";
import type { Database, DatabaseOptions } from "./client/database.ts";
import type { Declarations } from "./client/types.ts";
import type * as OnOpening from "./on-opening.ts";
import { WorkerAhead } from "./worker-start.ts";

type Client = typeof OnOpening;

let client: Client | undefined;
/** Databases that wait for it: handles of one share a worker, so one is started. */
const waiting = new Set<unknown>();

/** `createDatabase`, opened. */
export async function openDatabase<const C extends Declarations>(options: DatabaseOptions<C>): Promise<Database<C>> {
  if (client) return client.createDatabase(options).open();
  const asCalled = { ...options };
  const { name } = asCalled;
  const ahead = waiting.has(name) ? undefined : new WorkerAhead(asCalled);
  waiting.add(name);
  try {
    client = await loaded();
    return await client.databaseOn(asCalled, ahead?.take).open();
  } finally {
    waiting.delete(name);
    ahead?.take()?.terminate();
  }
}

async function loaded(): Promise<Client> {
  try {
    return await import("./on-opening.ts");
  } catch (e) {
    throw new TidemarkError("ENVIRONMENT", "A part of this program did not load: the database's client", {}, e);
  }
}
