/** Databases of this realm: handles on them, and the hosts that these speak to. */
import { errorOf } from "./client/connection.ts";
import { type HostLink, linkToWorker, makeWorker } from "./client/connectors.ts";
import { checkName, Database, type DatabaseOptions, type GivenStorage, isGiven } from "./client/database.ts";
import { SharedHosts } from "./client/shared-hosts.ts";
import type { Declarations } from "./client/types.ts";
import type { HostSurface, OpenRequest } from "./protocol/messages.ts";
import { isInWorker, startOwnWorker } from "./worker-start.ts";

/** Makes a database handle: synchronous, no I/O, safe to import on a server. @throws OPTIONS_INVALID */
export function createDatabase<const C extends Declarations>(options: DatabaseOptions<C>): Database<C> {
  return databaseOn(options);
}

/** As `createDatabase`. Where its worker was started ahead, `started` gives that, once. */
export function databaseOn<const C extends Declarations>(
  options: DatabaseOptions<C>,
  started?: () => Worker | undefined,
): Database<C> {
  const { locks } = (globalThis.navigator ?? {}) as Partial<Navigator>;
  const realm = locks ? { hosts, locks } : { hosts };
  return new Database(options, (place) => linkToHost(place, started), realm);
}
/** Of this realm. */
const hosts = new SharedHosts();

interface PlaceOptions {
  readonly storage?: OpenRequest["storage"] | GivenStorage;
  readonly worker?: false | (() => Worker);
}

/** Deletes a database. Every tab that has it open gets `closed` with reason "deleted"; none can block it. */
export async function deleteDatabase(name: string, options: PlaceOptions = {}): Promise<void> {
  checkName(name);
  await withHost(options, async (host, storage) => {
    const done = await host.deleteDatabase(name, storage);
    if (!done.ok) throw errorOf(done.error);
  });
}

/** Those that this build can open, with their data versions. */
export function listDatabases(options: PlaceOptions = {}): Promise<readonly { name: string; version: number }[]> {
  return withHost(options, async (host, storage) => {
    const listed = await host.listDatabases(storage);
    if (!listed.ok) throw errorOf(listed.error);
    return listed.databases;
  });
}

async function withHost<T>(
  place: PlaceOptions,
  use: (host: HostSurface, storage: OpenRequest["storage"]) => Promise<T>,
): Promise<T> {
  const link = await linkToHost(place);
  const { storage = "indexeddb" } = place;
  try {
    return await use(link.surface, isGiven(storage) ? "memory" : storage);
  } finally {
    link.dispose();
  }
}

async function linkToHost(place: PlaceOptions, started?: () => Worker | undefined): Promise<HostLink> {
  const { storage, worker } = place;
  if (!isInWorker(place)) {
    const { linkInline } = await import("./inline.ts");
    return linkInline(isGiven(storage) ? storage : undefined);
  }
  const scriptUrl = worker ? () => "given by the worker option" : ownScriptUrl;
  return linkToWorker(
    makeWorker(() => started?.() ?? (worker || startOwnWorker)(), scriptUrl),
    scriptUrl,
  );
}

/** Where bundlers put our own script, for errors: the expression of `startOwnWorker`, with a constructor that starts nothing. */
function ownScriptUrl(): string {
  const urlOf = (Worker: UrlKeeper): string =>
    new Worker(new URL("./worker.js", import.meta.url), { type: "module" }).href;
  return urlOf(KeepsUrl);
}

type UrlKeeper = new (url: URL, options: WorkerOptions) => KeepsUrl;

class KeepsUrl {
  readonly href: string;

  constructor(url: URL) {
    this.href = url.href;
  }
}
