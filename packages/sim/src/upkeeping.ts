/** Snapshots, and everything about garbage: what a tab does that is neither reading nor writing. */
import type { Actor } from "./actor.ts";
import { Feed } from "./feed.ts";
import type { Step } from "./plan.ts";
import type { Random } from "./random.ts";

export class Upkeeping {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  async perform(kind: Step["kind"], random: Random): Promise<void> {
    switch (kind) {
      case "snapshot":
        return this.#snapshot(random);
      case "feed":
        return new Feed(this.#actor, random.chance(0.7)).take(1 + random.below(6));
      case "checkpoint":
        return this.#plain("checkpoint", () => this.#actor.db.checkpoint());
      case "collect":
        return this.#collect(random);
      case "job":
        return this.#job(random);
      case "look":
        return this.#look(random);
      case "evict":
        return this.#evict(random);
      default:
        throw new Error(`${kind} is no step of a tab`);
    }
  }

  async #plain(what: string, call: () => Promise<unknown>, ...codes: readonly string[]): Promise<void> {
    const outcome = await this.#actor.call(what, call);
    if (outcome.is === "failed" && codes.includes(outcome.error.code)) return;
    this.#actor.unexpected(what, outcome);
  }

  async #snapshot(random: Random): Promise<void> {
    const { db, stage, low } = this.#actor;
    const name = `s${random.below(3)}`;
    const seqs = stage.snapshots.get(name) ?? new Set<number>();
    stage.snapshots.set(name, seqs);
    switch (random.pick(["create", "create", "view", "view", "delete"] as const)) {
      case "create": {
        const outcome = await this.#actor.call(`creates snapshot ${name}`, () => db.snapshots.create(name));
        if (outcome.is === "failed" && outcome.error.code !== "CONSTRAINT")
          this.#actor.unexpected("creating a snapshot", outcome);
        if (outcome.is !== "done") return;
        const { seq } = outcome.value;
        seqs.add(seq);
        if (seq < low || seq > stage.model.head)
          stage.fault("VG8", `snapshot ${name} is of ${seq}, not of ${low} to ${stage.model.head}`);
        return this.#actor.isOutdated ? undefined : this.#actor.saw(seq);
      }
      case "view": {
        const outcome = await this.#actor.call(`opens snapshot ${name}`, () => db.snapshots.view(name));
        if (outcome.is === "failed" && outcome.error.code !== "NOT_FOUND")
          this.#actor.unexpected("opening a snapshot", outcome);
        if (outcome.is === "done") this.#actor.keep(outcome.value, `${name}@${outcome.value.seq}`, db);
        return;
      }
      default:
        return this.#plain(`deletes snapshot ${name}`, () => db.snapshots.delete(name), "NOT_FOUND");
    }
  }

  async #collect(random: Random): Promise<void> {
    const kind = random.pick(["YOUNG_ONLY", "YOUNG_AND_MIDDLE", "FULL_GC", "FULL_GC"] as const);
    await this.#plain(`collects ${kind}`, () => this.#actor.db.gc.run({ kind }), "BUSY");
  }

  async #job(random: Random): Promise<void> {
    const { db, stage } = this.#actor;
    const way = random.pick(["cancel", "pause", "wait"] as const);
    await this.#plain(
      `starts a job, to ${way}`,
      async () => {
        const job = db.gc.start();
        job.report.catch(() => undefined);
        await stage.world.sleep(random.below(40));
        if (way === "cancel") await job.cancel();
        if (way === "pause") {
          await job.pause();
          await stage.world.sleep(random.below(200));
          await job.resume();
        }
        await job.report;
      },
      "BUSY",
    );
  }

  async #look(random: Random): Promise<void> {
    const { db, stage } = this.#actor;
    switch (random.pick(["explain", "verify", "metrics", "proofs"] as const)) {
      case "explain":
        return this.#plain("explains", async () => {
          const { floor, head, holders } = await db.gc.explain();
          const isRight =
            floor <= head &&
            head <= stage.model.head &&
            holders.every(({ seq, behind }) => behind === Math.max(0, head - seq));
          if (!isRight) stage.fault("VG13", `explain says floor ${floor}, head ${head}, ${JSON.stringify(holders)}`);
        });
      case "verify":
        return this.#plain("verifies", async () => {
          const { damage } = await db.verify();
          if (damage.length > 0 && stage.damaged === undefined)
            stage.fault("MV8", `verify finds ${JSON.stringify(damage)} where nothing was damaged`);
        });
      case "metrics":
        return this.#plain("measures", () => db.storage.metrics());
      default:
        return this.#plain(
          "asks for proofs",
          async () => {
            for await (const { seq, supersededBy, floor } of db.gc.proofs()) {
              if (seq > floor || (supersededBy > floor && supersededBy !== seq))
                stage.fault("VG1", `a proof says ${seq}, ${supersededBy}, ${floor}`);
            }
          },
          "BUSY",
        );
    }
  }

  async #evict(random: Random): Promise<void> {
    const { db, stage } = this.#actor;
    stage.trouble("eviction", "*", Infinity);
    await this.#plain(
      "evicts somebody",
      async () => {
        const { holders } = await db.gc.explain();
        const some = holders.filter(({ kind }) => kind === "pin" || kind === "consumer");
        if (some.length > 0) await db.gc.evict(random.pick(some).id);
      },
      "NOT_FOUND",
      "OPTIONS_INVALID",
    );
  }
}
