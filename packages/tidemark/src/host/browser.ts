/** Environments of this realm, in which an engine may also run on other storage. A worker has IndexedDB alone. */
import type { StorageFactory } from "../storage/contract.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import type { Environment } from "./environment.ts";
import { indexedDbEnvironment } from "./indexeddb-environment.ts";
import { localLocks } from "./web-locks.ts";

/** One per realm: handles of one realm that keep their data in memory share it, and coordinate here. */
const memory = createMemoryStorage();
const memoryLocks = localLocks(true);

export function browserEnvironment(storage: "indexeddb" | "memory"): Environment {
  const real = indexedDbEnvironment();
  return storage === "indexeddb" ? real : { ...real, locks: memoryLocks, storage: () => memory };
}

/** Of storage that is given: handles of this realm share it, and coordinate here. */
const given = new WeakMap<StorageFactory, Environment>();

export function environmentOn(storage: StorageFactory): Environment {
  const known = given.get(storage);
  if (known) return known;
  const plain = indexedDbEnvironment();
  const id = plain.random.id();
  const made: Environment = {
    ...plain,
    locks: localLocks(true),
    channel: (name, receive) => plain.channel(`${name}/${id}`, receive),
    storage: () => storage,
  };
  given.set(storage, made);
  return made;
}
