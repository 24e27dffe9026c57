/**
 * What tabs tell one another. Hints all of them: a lost or late message delays, it never corrupts, since every commit
 * is validated against the log itself. What comes in is checked before it is believed; entries carry checksums and a
 * chain, so a foreign or stale one does not apply.
 */
import { type TabId, tabId } from "../base/brand.ts";
import type { RetryPeers } from "../mvcc/retry-turns.ts";
import type { GcProgress } from "../protocol/gc.ts";
import type { Channel, Environment, HeldLock, Locks } from "./environment.ts";
import type { JobMessage } from "./gc-jobs.ts";

export type TabMessage =
  /** A log entry was appended; small ones come along. */
  | { readonly type: "commit"; readonly bytes: Uint8Array | undefined }
  /** The log was folded up to somewhere. */
  | { readonly type: "checkpoint" }
  /** Whoever does upkeep: fold the log. */
  | { readonly type: "wanted" }
  /** Upkeep asks every tab to raise its pin, and each answers when it has. */
  | { readonly type: "raise" }
  | { readonly type: "raised"; readonly tab: TabId }
  /** A snapshot was deleted, or a view on one released. */
  | { readonly type: "released" }
  /** A consumer of changes got on. */
  | { readonly type: "consumed" }
  /** A transaction of mine lost: let it pass before you begin another. */
  | { readonly type: "courtesy" }
  | { readonly type: "deleted" }
  /** A tab joins; those that are there answer, and from then on tell it what they commit. */
  | { readonly type: "joined" }
  | { readonly type: "present" }
  /** Without shared locks: is anybody there? */
  | { readonly type: "ping" }
  | { readonly type: "pong" }
  /** Upkeep has come to me: whoever waits for a job of mine asks me for it. */
  | { readonly type: "upkeep" }
  /** How a cycle of garbage collection goes on. */
  | { readonly type: "gc"; readonly progress: GcProgress }
  | JobMessage;

/** Entries above this are read from the log instead of being copied to every tab. */
const maxBroadcastBytes = 64 * 1024;

interface LockNames {
  readonly open: string;
  readonly upkeep: string;
  readonly build: string;
  readonly migrate: string;
  readonly retry: string;
  readonly tabPrefix: string;
  readonly keepPrefix: string;
}

export const lockNames = (name: string): LockNames => ({
  open: `tidemark/${name}/open`,
  upkeep: `tidemark/${name}/upkeep`,
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

const types: ReadonlySet<unknown> = new Set<TabMessage["type"]>([
  "commit",
  "checkpoint",
  "wanted",
  "raise",
  "raised",
  "released",
  "consumed",
  "courtesy",
  "deleted",
  "joined",
  "present",
  "ping",
  "pong",
  "upkeep",
  "gc",
  "job",
  "job-steer",
  "job-alive",
  "job-done",
  "job-failed",
]);

function asTabMessage(raw: unknown): TabMessage | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { type, bytes, tab, job, progress, request } = raw as Readonly<Record<string, unknown>>;
  if (!types.has(type)) return undefined;
  if (type === "commit" && bytes !== undefined && !(bytes instanceof Uint8Array)) return undefined;
  if (type === "raised" && typeof tab !== "string") return undefined;
  if (type === "gc" && !isObject(progress)) return undefined;
  if (String(type).startsWith("job") && !(typeof tab === "string" && typeof job === "number")) return undefined;
  if (type === "job" && !isObject(request)) return undefined;
  return raw as TabMessage;
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** Retries of all tabs take turns. */
export const retryPeersOf = (name: string, locks: Locks, tabs: Tabs): RetryPeers => ({
  takeToken: async () => {
    const held = await locks.request(lockNames(name).retry, { timeoutMs: 250 });
    return () => held?.release();
  },
  askForCourtesy: () => tabs.post({ type: "courtesy" }),
});
