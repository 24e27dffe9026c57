import type { HostLink } from "./client/connectors.ts";
import type { GivenStorage } from "./client/database.ts";
import { browserEnvironment, environmentOn } from "./host/browser.ts";
import { Host } from "./host/host.ts";
import type { StorageFactory } from "./storage/contract.ts";

/** A host in this realm, for `worker: false`; on this storage, where it is given. */
export function linkInline(given?: GivenStorage): HostLink {
  const environment = given && environmentOn(given as StorageFactory);
  const surface = new Host(environment ? () => environment : browserEnvironment);
  return { surface, ended: new Promise(() => undefined), dispose: () => undefined };
}
