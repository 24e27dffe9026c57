/** The tabs of one database: the locks by which they know of one another, and the channel between them. */
import { type TabId, tabId, type UpkeepEpoch } from "../base/brand.ts";
import type { RetryPeers } from "../mvcc/retry-turns.ts";
import type { Channel, Environment, HeldLock, Locks } from "./environment.ts";
import { asTabMessage, type TabMessage } from "./tab-messages.ts";

/** Entries above this are read from the log instead of being copied to every tab. */
const maxBroadcastBytes = 64 * 1024;

interface LockNames {
  readonly open: string;
  readonly upkeep: string;
  readonly upkeepPrefix: string;
  readonly build: string;
  readonly migrate: string;
  readonly retry: string;
  readonly tabPrefix: string;
  readonly keepPrefix: string;
}

export const lockNames = (name: string): LockNames => ({
  open: `tidemark/${name}/open`,
  upkeep: `tidemark/${name}/upkeep`,
  upkeepPrefix: `tidemark/${name}/upkeep/`,
  build: `tidemark/${name}/build`,
  migrate: `tidemark/${name}/migrate`,
  retry: `tidemark/${name}/retry`,
  tabPrefix: `tidemark/${name}/tab/`,
  keepPrefix: `tidemark/${name}/keep/`,
});

export class Tabs {
  readonly self: TabId;
  readonly #channel: Channel;
  readonly #locks: Locks;
  readonly #names: LockNames;
  readonly #held: readonly HeldLock[];
  #raised: Set<TabId> | undefined;
  #onRaised: (() => void) | undefined;
  /** Whether any other tab was ever heard of: posting costs more than a commit's message to the page. */
  #hasPeers = false;
  /** Committed something before any other tab was heard of. */
  #isUntold = false;
  #isLeft = false;

  private constructor(
    self: TabId,
    environment: Environment,
    name: string,
    held: readonly HeldLock[],
    receive: (message: TabMessage) => void,
  ) {
    this.self = self;
    this.#locks = environment.locks;
    this.#names = lockNames(name);
    this.#held = held;
    this.#channel = environment.channel(`tidemark/${name}`, (raw) => {
      const message = asTabMessage(raw);
      this.#hasPeers = true;
      this.#tellLate();
      if (message?.type === "joined") this.post({ type: "present" });
      if (message?.type === "raised") this.#countRaised(message.tab);
      else if (message) receive(message);
    });
  }

  /**
   * Takes the locks that say "this tab lives and has the database open", and "it wants superseded versions kept for
   * `keepForMs`", then listens.
   */
  static async join(
    name: string,
    environment: Environment,
    receive: (message: TabMessage) => void,
    keepForMs = 0,
  ): Promise<Tabs> {
    const self = tabId(environment.random.id());
    const names = lockNames(name);
    const { locks } = environment;
    const held = await Promise.all([
      locks.request(names.open, { mode: "shared" }),
      locks.request(names.tabPrefix + self),
      ...(keepForMs > 0 ? [locks.request(names.keepPrefix + keepForMs, { mode: "shared" })] : []),
    ]);
    const tabs = new Tabs(
      self,
      environment,
      name,
      held.flatMap((lock) => lock ?? []),
      receive,
    );
    tabs.post({ type: "joined" });
    return tabs;
  }

  /** After `leave` it does nothing: work that ends later has nobody to speak for, and whoever asked for it asks again. */
  post(message: TabMessage): void {
    if (!this.#isLeft) this.#channel.post(message);
  }

  /** Tells the others, if there are any, what was committed. */
  postCommit(bytes: Uint8Array): void {
    if (!this.#hasPeers) {
      this.#isUntold = true;
      return;
    }
    this.post({ type: "commit", bytes: bytes.length <= maxBroadcastBytes ? bytes : undefined });
  }

  #tellLate(): void {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    this.post({ type: "commit", bytes: undefined });
  }

  /** The tabs whose locks are held. */
  async live(): Promise<ReadonlySet<TabId>> {
    return new Set((await this.#heldUnder(this.#names.tabPrefix)).map((t) => tabId(t)));
  }

  /** Says to all, by a lock that nobody else wants, that upkeep is this tab's, until it is released. */
  claimUpkeep(epoch: UpkeepEpoch): Promise<HeldLock | undefined> {
    return this.#locks.request(`${this.#names.upkeepPrefix}${epoch}/${this.self}`);
  }

  /** Whose upkeep is, by what tabs claim: a former one that sleeps may still do so. For information only. */
  async upkeep(): Promise<TabId | undefined> {
    const claims = (await this.#heldUnder(this.#names.upkeepPrefix)).map((claim) => claim.split("/", 2));
    const [last] = claims.toSorted(([a], [b]) => Number(b) - Number(a));
    return last?.[1] === undefined ? undefined : tabId(last[1]);
  }

  /** For how long the superseded versions are to be kept that any tab wants kept, this one included. */
  async keepForMs(): Promise<number> {
    const wanted = (await this.#heldUnder(this.#names.keepPrefix)).map(Number);
    return Math.max(0, ...wanted.filter((ms) => !Number.isNaN(ms)));
  }

  async #heldUnder(prefix: string): Promise<readonly string[]> {
    const names = await this.#locks.held();
    return [...names].flatMap((n) => (n.startsWith(prefix) ? [n.slice(prefix.length)] : []));
  }

  /** Asks the others to raise their pins; resolves when all that live have, or after `patienceMs`. */
  async raisePins(patienceMs: number, sleep: (ms: number) => Promise<void>): Promise<void> {
    const others = new Set(await this.live());
    others.delete(this.self);
    if (others.size === 0) return;
    const waiting = new Set(others);
    this.#raised = waiting;
    const all = new Promise<void>((resolve) => (this.#onRaised = resolve));
    this.post({ type: "raise" });
    await Promise.race([all, sleep(patienceMs)]);
    this.#raised = undefined;
  }

  #countRaised(tab: TabId): void {
    this.#raised?.delete(tab);
    if (this.#raised?.size === 0) this.#onRaised?.();
  }

  leave(): void {
    this.#isLeft = true;
    this.#channel.close();
    for (const lock of this.#held) lock.release();
  }
}

/** Retries of all tabs take turns. */
export const retryPeersOf = (name: string, locks: Locks, tabs: Tabs): RetryPeers => ({
  takeToken: async (waitMs) => {
    const held = await locks.request(lockNames(name).retry, { timeoutMs: waitMs });
    return () => held?.release();
  },
  askForCourtesy: (forMs) => tabs.post({ type: "courtesy", by: tabs.self, forMs }),
});
