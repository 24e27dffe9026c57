/** The public API on a medium of one's own: tabs that share it as tabs of one browser do. */
import type { HostLink } from "./client/connectors.ts";
import { Database, type DatabaseOptions } from "./client/database.ts";
import type { Declarations } from "./client/types.ts";
import { browserEnvironment } from "./host/browser.ts";
import type { Environment } from "./host/environment.ts";
import { Host } from "./host/host.ts";
import { localLocks } from "./host/web-locks.ts";
import type { StorageFactory } from "./storage/contract.ts";

/** One life of a browser: when it is over, all its locks are free, whoever held them. */
export class Life {
  readonly #environment: Environment;

  constructor(medium: StorageFactory, own: Partial<Environment> = {}) {
    const real = browserEnvironment("memory");
    const id = real.random.id();
    this.#environment = {
      ...real,
      locks: localLocks(true),
      channel: (name, receive) => real.channel(`${id}/${name}`, receive),
      storage: () => medium,
      ...own,
    };
  }

  open<C extends Declarations>(options: DatabaseOptions<C>): Promise<Database<C>> {
    const link = (): Promise<HostLink> =>
      Promise.resolve({
        surface: new Host(() => this.#environment),
        ended: new Promise(() => undefined),
        dispose: () => undefined,
      });
    return new Database(options, link).open();
  }
}
