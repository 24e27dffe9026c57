/** What befalls a world: tabs that freeze and die, power cuts, disks that fill up, locks that are stolen. */
import type { Storage, Verifier } from "tidemark/testing";
import type { Actor } from "./actor.ts";
import type { Step } from "./plan.ts";
import { Random } from "./random.ts";
import { databaseName, type Stage } from "./stage.ts";

/** How long what was wrong is still felt. */
const echoMs = 5000;

export class Nature {
  readonly #stage: Stage;
  readonly #actors: readonly Actor[];
  readonly #verifier: Verifier;
  readonly #ends = new Set<Promise<void>>();
  readonly #crashes = new Map<unknown, number>();

  constructor(stage: Stage, actors: readonly Actor[], verifier: Verifier) {
    this.#stage = stage;
    this.#actors = actors;
    this.#verifier = verifier;
  }

  async run(): Promise<void> {
    for (const step of this.#stage.plan.steps.filter(({ who }) => who < 0)) {
      await this.#stage.world.sleep(step.waitMs);
      await this.#do(step);
    }
    await Promise.all(this.#ends);
  }

  async #do({ kind, seed }: Step): Promise<void> {
    const random = new Random(seed);
    const actor = (random.chance(0.4) ? this.#atUpkeep : undefined) ?? random.pick(this.#actors);
    this.#stage.note(`nature: ${kind} ${actor.name}`);
    this.#stage.count(kind);
    switch (kind) {
      case "freeze": {
        const ms = random.pick([0, 100, 1500, 20_000, 200_000]) * random.next();
        return this.#strike(actor, random, (tab) => {
          tab.freeze();
          this.#later(ms, () => tab.thaw());
        });
      }
      case "kill": {
        const ms = random.below(500);
        return this.#strike(actor, random, () => {
          actor.die();
          this.#later(ms, () => actor.isDead && actor.begin());
        });
      }
      case "crashWorker":
        if (actor.isDead || !this.#mayCrash(actor)) return;
        this.#stage.trouble("crashed worker", actor.name, echoMs);
        actor.crashWorker();
        return;
      case "power":
        return this.#cutPower(random);
      case "loseConnection":
        return this.#loseConnection(actor, random);
      case "fillDisk":
        return this.#fillDisk(random);
      case "stealLock":
        return this.#stealLock();
      case "jumpClock":
        actor.tab.process.skewMs = random.pick([-3_600_000, 3_600_000, -50, 50, 86_400_000 * 30]);
        return;
      case "weather":
        return this.#weather(random);
      case "hide":
        actor.tab.state = "hidden";
        return this.#later(random.below(3000), () => (actor.tab.state = "visible"));
      case "damage":
        return this.#damage(random);
      default:
        throw new Error(`${kind} is nothing that nature does`);
    }
  }

  /** Workers that die one after another end their handle. */
  #mayCrash({ tab }: Actor): boolean {
    const times = this.#crashes.get(tab) ?? 0;
    this.#crashes.set(tab, times + 1);
    return times < 2;
  }

  #later(ms: number, then: () => unknown): void {
    this.#ends.add(this.#stage.world.sleep(ms).then(() => void then()));
  }

  get #atUpkeep(): Actor | undefined {
    return this.#actors.find(({ tab }) => tab.process.locks.some((lock) => lock.endsWith("/upkeep")));
  }

  /** Now, or at one of its next calls to storage: before that takes effect, or before it hears of it. */
  #strike({ tab }: Actor, random: Random, how: (tab: Actor["tab"]) => void): void {
    if (random.chance(0.3)) how(tab);
    else this.#atCall(tab, random, 25, () => how(tab));
  }

  /** At one of the next `most` calls to storage: before that takes effect, or after. What is thrown then, it fails with. */
  #atCall({ process }: Actor["tab"], random: Random, most: number, then: (when: "before" | "after") => void): void {
    const [at, when] = [1 + random.below(most), random.pick(["before", "after"] as const)];
    process.onCall = (call) => {
      if (call.n < at || call.when !== when) return;
      process.onCall = undefined;
      then(when);
    };
  }

  /** Everybody dies, and of what was not made durable a suffix may be gone. */
  async #cutPower(random: Random): Promise<void> {
    const { world, model, strictAcked } = this.#stage;
    for (const actor of this.#actors) actor.die();
    const keepRelaxed = random.pick(["none", "all", random.below(20), random.below(200)] as const);
    world.medium.crash({ keepRelaxed });
    const storage: Storage = await world.medium.open(databaseName);
    await this.#verifier.restart(storage);
    await storage.close();
    this.#stage.note(`power cut: the head is ${model.head}`);
    if (model.head < strictAcked)
      this.#stage.fault(
        "MV4",
        `commit ${strictAcked} was strict and acknowledged; after a power cut ${model.head} is the last`,
      );
    const { consumer } = this.#stage;
    consumer.sure = 0; // positions are relaxed writes, like any
    consumer.isLapsed = true;
    await world.sleep(random.below(300));
    for (const actor of this.#actors) if (actor.isDead) actor.begin();
  }

  /** One call to storage fails as when the browser loses it: before it took effect, or after. */
  #loseConnection(actor: Actor, random: Random): void {
    const { TidemarkError } = this.#stage.engine;
    this.#stage.trouble("lost connection", actor.name, 60_000);
    this.#atCall(actor.tab, random, 12, (when) => {
      throw new TidemarkError("STORAGE_LOST", "The connection to the storage was lost.", {
        outcome: when === "before" ? "none" : "unknown",
      });
    });
  }

  #fillDisk(random: Random): void {
    const { medium } = this.#stage.world;
    const ms = random.below(4000);
    this.#stage.trouble("full disk", "*", ms + echoMs);
    medium.quotaBytes = medium.usedBytes + random.below(30_000);
    this.#later(ms, () => (medium.quotaBytes = Infinity));
  }

  /** One bit of a stored block is another from now on. */
  async #damage(random: Random): Promise<void> {
    const { world, damaged } = this.#stage;
    const all = await this.#stage.blocks();
    if (damaged !== undefined || all.length === 0) return;
    const { key, bytes } = random.pick(all);
    world.medium.damage(databaseName, "blocks", key, random.below(bytes.length), random.below(8));
    this.#stage.damaged = (await this.#stage.blocks()).find((block) => block.key === key);
  }

  /** Somebody outside takes the lock of whoever does upkeep, and lets go of it at once. */
  async #stealLock(): Promise<void> {
    const thief = this.#stage.world.process("thief");
    const held = await thief.environment.locks.held();
    const name = [...held].find((lock) => lock.endsWith("/upkeep"));
    if (name === undefined) return;
    const lock = await thief.environment.locks.request(name, { steal: true });
    await this.#stage.world.sleep(1);
    lock?.release();
  }

  #weather(random: Random): void {
    const { hub } = this.#stage.world;
    if (this.#stage.plan.isSilent) return;
    const [loss, late, twice] = [random.pick([0, 0.2, 0.8, 1]), random.pick([0, 5, 300]), random.pick([0, 0.1])];
    const fates = new Random(random.seed());
    const fate = (): number => 0.3 + fates.next() * late;
    hub.fate = () => (fates.chance(loss) ? [] : fates.chance(twice) ? [fate(), fate()] : [fate()]);
    this.#later(random.below(5000), () => (hub.fate = () => [0.3]));
  }
}
