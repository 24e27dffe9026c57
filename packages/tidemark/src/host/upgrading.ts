import type { Definition } from "../codec/schema.ts";
import type { Database } from "../collections/database.ts";
import { define, type Pending } from "../collections/define.ts";
import type { HeldLock, Locks } from "./environment.ts";

/**
 * So long a tab waits for another that migrates. Then it begins itself, as that one may be frozen: whose commit comes
 * first counts, and the other finds it done.
 */
const patienceMs = 5000;

export interface Upgrade {
  /** What is left to the page. */
  readonly pending: Pending | undefined;
  /** Held until that is done, so that others need not do it in vain. */
  readonly lock: HeldLock | undefined;
}

/** Makes the database what the page declares, as far as the page is not needed. */
export async function upgrade(
  database: Database,
  definition: Definition,
  locks: Locks,
  lockName: string,
  keepForMs: () => Promise<number>,
): Promise<Upgrade> {
  if (!(await define(database, definition, keepForMs))) return { pending: undefined, lock: undefined };
  const lock = await locks.request(lockName, { timeoutMs: patienceMs });
  try {
    await database.store.follow();
    const pending = await define(database, definition, keepForMs);
    if (!pending) lock?.release();
    return { pending, lock };
  } catch (e) {
    lock?.release();
    throw e;
  }
}
