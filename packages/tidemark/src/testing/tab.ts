/**
 * A tab of a world: a page's whole client, and the engine of its worker, on a process of its own. Between the two every
 * message takes a moment, and stays away while the process is frozen or once it is dead.
 */
import { Database, type DatabaseOptions } from "../client/database.ts";
import type { HostLink } from "../client/connectors.ts";
import type { PageSeam } from "../client/idle.ts";
import { SharedHosts } from "../client/shared-hosts.ts";
import { abortable } from "../client/source.ts";
import type { Declarations } from "../client/types.ts";
import { untilEnded } from "../client/until-ended.ts";
import { runUpgrade } from "../client/upgrade.ts";
import { workerDied } from "../client/worker-death.ts";
import { Host } from "../host/host.ts";
import type { HostSurface, PageState } from "../protocol/messages.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** What a message between page and worker takes. */
const hopMs = 0.05;
/** Idle moments come so far apart, and last so long. */
const idleEveryMs = 20;
const idleMs = 12;

export type TabOptions<C extends Declarations> = Omit<DatabaseOptions<C>, "storage" | "worker">;

export class Tab {
  readonly name: string;
  readonly #world: World;
  readonly #hosts = new SharedHosts();
  readonly #watching = new Set<() => void>();
  /** Holds the page's own locks, whatever becomes of its workers. */
  readonly #page: Process;
  #process: Process;
  #state: PageState = "visible";
  #workers = 0;
  #crash: () => void = () => undefined;
  #crashed: Promise<void>;

  constructor(world: World, name: string) {
    this.name = name;
    this.#world = world;
    this.#page = world.process(`${name}/page`);
    this.#process = world.process(name);
    this.#crashed = new Promise((resolve) => (this.#crash = resolve));
  }

  /** Of its worker; another one after that crashed. */
  get process(): Process {
    return this.#process;
  }

  /** A handle of this tab, as the page makes it. Its storage is the world's. */
  createDatabase<const C extends Declarations>(options: TabOptions<C>): Database<C> {
    const locks = { request: this.#requestLock.bind(this) as LockManager["request"] };
    return new Database<C>({ ...options, storage: "memory" }, () => Promise.resolve(this.#link()), {
      hosts: this.#hosts,
      locks,
      runUpgrade,
    });
  }

  freeze(): void {
    this.#page.freeze();
    this.#process.freeze();
  }
  thaw(): void {
    this.#page.thaw();
    this.#process.thaw();
  }

  /** The tab is gone, with all it was about to do; its locks are free at once. */
  kill(): void {
    this.#page.kill();
    this.#process.kill();
  }

  /** Its worker is gone; the page notices, and starts another. */
  crashWorker(): void {
    this.#process.kill();
    this.#process = this.#world.process(`${this.name}/${++this.#workers}`);
    const crash = this.#crash;
    this.#crashed = new Promise((resolve) => (this.#crash = resolve));
    crash();
  }

  set state(state: PageState) {
    this.#state = state;
    for (const tell of this.#watching) tell();
  }

  #link(): HostLink {
    const process = this.#process;
    const host = new Host(() => process.environment);
    const hop = async <T>(call: () => Promise<T>): Promise<T> => {
      await process.sleep(hopMs);
      const answer = await call();
      await process.sleep(hopMs);
      return answer;
    };
    const ended = this.#crashed.then(() => workerDied("it was ended by the world"));
    const orElse = untilEnded(ended);
    const orEnded = <T>(call: () => Promise<T>): Promise<T> => orElse(hop(call));
    const surface: HostSurface = {
      hello: () => orEnded(() => host.hello()),
      open: (request, events) =>
        orEnded(() => host.open(request, (event) => void process.sleep(hopMs).then(() => events(event)))),
      submit: (requests) => hop(() => host.submit(requests)),
      grant: (offer) => orEnded(() => host.grant(offer)),
      close: () => orEnded(() => host.close()),
      deleteDatabase: (name, storage) => orEnded(() => host.deleteDatabase(name, storage)),
      listDatabases: (storage) => orEnded(() => host.listDatabases(storage)),
    };
    return { surface, page: this.#seam(process), ended, dispose: () => undefined };
  }

  #seam(process: Process): PageSeam {
    const stateOf = (): PageState => this.#state;
    return {
      get state() {
        return stateOf();
      },
      watch: (tell) => {
        this.#watching.add(tell);
        return () => this.#watching.delete(tell);
      },
      ask: (use) => {
        let isWanted = true;
        const idle = async (): Promise<void> => {
          await process.sleep(idleEveryMs * this.#world.random.next());
          const until = this.#world.now + idleMs;
          if (isWanted) use({ timeRemaining: () => Math.max(0, until - this.#world.now) });
        };
        void idle();
        return () => void (isWanted = false);
      },
    };
  }

  /** As `navigator.locks.request`, as far as the client uses it. */
  async #requestLock(name: string, { signal }: LockOptions, held: (lock: null) => unknown): Promise<unknown> {
    const { locks } = this.#page.environment;
    const lock = await abortable(
      signal,
      () => locks.request(name),
      (late) => late?.release(),
    );
    try {
      return await held(null);
    } finally {
      lock?.release();
    }
  }
}
