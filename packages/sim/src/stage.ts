/** What all actors of a world share: the world, its model, and what is going on in it that excuses failures. */
import type { Database, TidemarkError } from "tidemark";
import type { Tab, World } from "tidemark/testing";
import type { Engine } from "./engine.ts";
import type { Model } from "./model.ts";
import type { Plan } from "./plan.ts";
import type { Collections, schemaOf } from "./schema.ts";

export type Db = Database<Collections>;

export const databaseName = "sim";

export type StoredBlock = { readonly key: number; readonly bytes: Uint8Array };

/** Troubles that excuse errors of these codes, as long as they last. */
export type Trouble = "full disk" | "lost connection" | "eviction" | "crashed worker" | "outdated";

export class Stage {
  readonly engine: Engine;
  readonly world: World;
  readonly model: Model;
  readonly plan: Plan;
  readonly schema: ReturnType<typeof schemaOf>;
  readonly faults: string[] = [];
  /** The last things that happened, for whoever looks into a failure. */
  readonly trace: string[] = [];
  readonly counts: Map<string, number> = new Map();
  /** The seq of the last strict commit that was acknowledged. */
  strictAcked = 0;
  /** The block that was damaged, if one was. */
  damaged: StoredBlock | undefined;
  /** Seqs of snapshots by name, as told. */
  readonly snapshots: Map<string, Set<number>> = new Map();
  /** The highest position that the named consumer acknowledged, and that was acknowledged to it. */
  consumer: { acked: number; sure: number; isLapsed: boolean } = { acked: 0, sure: 0, isLapsed: false };
  readonly #troubles = new Map<string, number>();
  #tokens = 0;

  constructor(engine: Engine, world: World, model: Model, plan: Plan, schema: ReturnType<typeof schemaOf>) {
    this.engine = engine;
    this.world = world;
    this.model = model;
    this.plan = plan;
    this.schema = schema;
  }

  /** Unique in this world. */
  token(who: string): string {
    return `${who}#${++this.#tokens}`;
  }

  fault(rule: string, what: string): void {
    const message = `[${rule}] ${what}`;
    this.faults.push(message);
    this.note(`FAULT ${message}`);
  }

  note(what: string): void {
    this.trace.push(`${(this.world.now % 1e7).toFixed(1)} ${what}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Those that are stored now, past every tab. */
  async blocks(): Promise<readonly StoredBlock[]> {
    const storage = await this.world.medium.open(databaseName);
    const [found = []] = await storage.read([{ kind: "range", store: "blocks", range: {} }]);
    await storage.close();
    return found.map(({ key, value }) => ({ key: key as number, bytes: value }));
  }

  /** For `whom`, or all (`*`), until so long from now. */
  trouble(what: Trouble, whom: string, forMs: number): void {
    const key = `${what} ${whom}`;
    this.#troubles.set(key, Math.max(this.#troubles.get(key) ?? 0, this.world.now + forMs));
  }

  /** Whether this trouble was on at any time since. */
  had(what: Trouble, whom: string, sinceMs: number): boolean {
    return [whom, "*"].some((w) => (this.#troubles.get(`${what} ${w}`) ?? -1) >= sinceMs);
  }

  /** Whether a failure is what such trouble leads to. */
  isExcused({ code, details }: TidemarkError, whom: string, sinceMs: number): boolean {
    if (code === "QUOTA_EXCEEDED") return this.had("full disk", "*", sinceMs);
    if (code === "CORRUPT" || code === "MIGRATION_FAILED") return this.damaged !== undefined;
    if (code === "READ_VIEW_EVICTED") return this.had("eviction", "*", 0);
    if (code === "SCHEMA_OUTDATED") return this.had("outdated", whom, 0);
    // The worker of a program of an older version crashed: there is no other for it.
    if (code === "CLOSED")
      return details["reason"] === "crashed" && this.had("crashed worker", whom, 0) && this.had("outdated", whom, 0);
    if (code !== "STORAGE_LOST") return false;
    return this.had(details["lost"] === "worker" ? "crashed worker" : "lost connection", whom, sinceMs);
  }
}

/** What became of a call. */
export type Outcome<T> =
  | { readonly is: "done"; readonly value: T }
  /** `isExcused`: what is going on in the world explains it. */
  | { readonly is: "failed"; readonly error: TidemarkError; readonly isExcused: boolean }
  /** The tab died, and nobody will hear. */
  | { readonly is: "lost" };

/** A call takes no longer than this while its tab is awake: others, whatever befalls them, hold nobody up. */
const patienceMs = 60_000;
const lookMs = 250;

/** Who calls. */
export interface Caller {
  readonly name: string;
  readonly tab: Tab;
  readonly isGone: () => boolean;
}

/** Follows a call of a tab to its end. */
export async function follow<T>(
  stage: Stage,
  { name, tab, isGone }: Caller,
  what: string,
  call: () => Promise<T>,
): Promise<Outcome<T>> {
  const sinceMs = stage.world.now;
  const over = new AbortController();
  const watching = async (): Promise<Outcome<T>> => {
    for (let awakeMs = 0; awakeMs <= patienceMs; awakeMs += tab.process.isFrozen ? 0 : lookMs) {
      await stage.world.sleep(lookMs);
      if (over.signal.aborted || isGone()) return { is: "lost" };
    }
    stage.fault("TB1", `${what} of ${name} hangs in ${tab.name}`);
    return { is: "lost" };
  };
  const isExcused = (error: TidemarkError): boolean => stage.isExcused(error, name, sinceMs);
  const ending = outcomeOf(stage, isExcused, call).finally(() => over.abort());
  return Promise.race([ending, watching()]);
}

async function outcomeOf<T>(
  { engine }: Stage,
  isExcused: (error: TidemarkError) => boolean,
  call: () => Promise<T>,
): Promise<Outcome<T>> {
  try {
    return { is: "done", value: await call() };
  } catch (error) {
    if (engine.isTidemarkError(error)) return { is: "failed", error, isExcused: isExcused(error) };
    throw error;
  }
}
