/** Databases by name, without joining them: listed, and deleted. */
import { isTidemarkError } from "../base/errors.ts";
import { drop, isDropped } from "../mvcc/recovery.ts";
import type { OpenRequest } from "../protocol/messages.ts";
import { get, type Storage, type StorageFactory, valueOf } from "../storage/contract.ts";
import { ReservingStorage } from "../storage/reserve.ts";
import { openRow, putRow } from "../wal/row.ts";
import type { Environment } from "./environment.ts";
import type { TabMessage } from "./tab-messages.ts";
import { lockNames } from "./tabs.ts";

/** How long a deletion waits for other tabs to let go before it leaves the empty shell behind. */
const letGoMs = 1000;

/** Empties it at once, for every tab that has it open; removes it where all of them let go in time. */
export async function deleteDatabase(
  name: string,
  environment: Environment,
  kind: OpenRequest["storage"],
): Promise<void> {
  const factory = environment.storage(kind);
  if (!(await factory.list()).includes(name)) return;
  await emptied(factory, name, environment);
  const channel = environment.channel(`tidemark/${name}`, () => undefined);
  channel.post({ type: "deleted" } satisfies TabMessage);
  const alone = await environment.locks.request(lockNames(name).open, { timeoutMs: letGoMs });
  try {
    if (alone && (await isShell(factory, name))) await factory.remove(name).catch(shellStays);
  } finally {
    alone?.release();
    channel.close();
  }
}

export async function listDatabases(factory: StorageFactory): Promise<readonly { name: string; version: number }[]> {
  const databases: { name: string; version: number }[] = [];
  for (const name of await factory.list()) {
    const version = await using(factory, name, versionIn);
    if (version !== undefined) databases.push({ name, version });
  }
  return databases;
}

const versionKey = "version";
const readVersion = get("meta", versionKey);

async function using<T>(factory: StorageFactory, name: string, use: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await factory.open(name);
  try {
    return await use(storage);
  } finally {
    await storage.close();
  }
}

const emptied = (factory: StorageFactory, name: string, { random }: Environment): Promise<void> =>
  using(factory, name, (storage) => drop(new ReservingStorage(storage, () => Promise.resolve()), random));

/** WebKit keeps the connection of a worker that ended amid a transaction: it is nobody's then, and nothing is lost. */
function shellStays(error: unknown): void {
  if (!isTidemarkError(error, "BUSY")) throw error;
}

/** Whether nothing but the shell of a deleted database is there. */
const isShell = (factory: StorageFactory, name: string): Promise<boolean> => using(factory, name, isDropped);

/** Of a newer build's database it cannot be told, and none of the others is to be missed for that. */
async function versionIn(storage: Storage): Promise<number | undefined> {
  try {
    const version = await notedVersion(storage);
    return version !== undefined && !(await isDropped(storage)) ? version : undefined;
  } catch (e) {
    if (isTidemarkError(e, "FORMAT_UNSUPPORTED")) return undefined;
    throw e;
  }
}

/** The data version as it was noted last. */
export async function notedVersion(storage: Storage): Promise<number | undefined> {
  const [row] = await storage.read([readVersion]);
  const bytes = valueOf(row);
  return bytes && openRow(bytes, versionKey, "version").varint();
}

/** Notes the data version where `listDatabases` finds it without opening the database. */
export async function noteVersion(storage: Storage, version: number): Promise<void> {
  await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    writes: [putRow(versionKey, (out) => out.varint(version))],
  });
}
