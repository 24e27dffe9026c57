/** At the end of a world: all is quiet, everybody sees the same, what nobody sees is gone, and it opens again. */
import type { Metrics } from "tidemark";
import type { Actor } from "./actor.ts";
import { Random } from "./random.ts";
import { questionOf } from "./questions.ts";
import { names } from "./schema.ts";
import { databaseName, type Db, type Stage } from "./stage.ts";

const questions = 12;
/** Deleted ones keep their last versions. */
const keysOfNotes = 14;

export class Audit {
  readonly #stage: Stage;
  readonly #actors: readonly Actor[];

  constructor(stage: Stage, actors: readonly Actor[]) {
    this.#stage = stage;
    this.#actors = actors;
  }

  async run(): Promise<void> {
    const stage = this.#stage;
    stage.note("audit");
    stage.world.medium.quotaBytes = Infinity;
    if (!stage.plan.isSilent) stage.world.hub.fate = () => [0.3];
    for (const actor of this.#actors) {
      if (actor.isDead) actor.begin();
      actor.tab.thaw();
      actor.tab.process.onCall = undefined;
      actor.tab.process.skewMs = 0;
    }
    await stage.world.sleep(6000); // longer than any echo
    const newest = this.#newest;
    for (const actor of this.#actors) await actor.settled();
    for (const actor of this.#actors) if (!actor.isOutdated) await this.#compare(actor, actor.db, actor.name);
    await this.#clean(newest);
    await this.#reopen(newest);
    for (const what of stage.model.unclaimed) this.#unclaimed(what);
  }

  get #newest(): Actor {
    return this.#actors.reduce((newest, actor) => (actor.version > newest.version ? actor : newest));
  }

  async #compare(actor: Actor, db: Db, who: string): Promise<void> {
    const { model } = this.#stage;
    const { head } = model; // upkeep may commit meanwhile, too
    const view = await this.#sure(actor, `a fresh view of ${who}`, () => db.readView({ fresh: true }));
    if (!view) return;
    if (view.seq < head || view.seq > model.head)
      this.#stage.fault("TB3", `a fresh view of ${who} is at ${view.seq}, and the head is ${model.head}`);
    const random = new Random(this.#stage.plan.seed);
    for (let i = 0; i < questions; i++) {
      const question = questionOf(random);
      const answer = await this.#sure(actor, `${who} is asked ${question.what}`, () => question.ask(view));
      const right = question.answer(model.at(view.seq));
      if (answer !== undefined && answer !== right)
        this.#stage.fault("MV2", `in the end ${who} answers ${question.what} with ${answer} instead of ${right}`);
    }
    view.release();
  }

  /** What nobody holds goes, to the last version. */
  async #clean(actor: Actor): Promise<void> {
    for (const { name } of (await this.#sure(actor, "a list of snapshots", () => actor.db.snapshots.list())) ?? []) {
      await this.#sure(actor, "deleting a snapshot", () => actor.db.snapshots.delete(name));
    }
    for (const other of this.#actors) {
      other.forget();
      if (other === actor) continue;
      await this.#sure(other, "closing", () => other.db.close());
      other.die();
    }
    await this.#sure(actor, "closing", () => actor.db.close());
    actor.open();
    const evictable = (await this.#sure(actor, "explaining", () => actor.db.gc.explain()))?.holders ?? [];
    for (const { id, kind } of evictable)
      if (kind === "consumer") await this.#sure(actor, "evicting", () => actor.db.gc.evict(id));
    await this.#sure(actor, "collecting", () => actor.db.gc.run({ kind: "FULL_GC" }));
    const report = await this.#sure(actor, "verifying", () => actor.db.verify());
    if (report) await this.#checkDamage(report.damage);
    const metrics = await this.#sure(actor, "measuring", () => actor.db.storage.metrics());
    if (metrics && !this.#stage.damaged) this.#checkStored(metrics);
    await this.#compare(actor, actor.db, `${actor.name}, collected`);
  }

  /** A damaged block is found, unless another has taken its place since. */
  async #checkDamage(found: readonly unknown[]): Promise<void> {
    const { damaged } = this.#stage;
    const all = damaged ? await this.#stage.blocks() : [];
    const isThere = all.some(
      ({ key, bytes }) => key === damaged!.key && bytes.every((b, i) => b === damaged!.bytes[i]),
    );
    if (found.length > 0 !== isThere)
      this.#stage.fault(
        "MV8",
        `a block ${isThere ? "is" : "is not"} damaged, and verify finds ${JSON.stringify(found)}`,
      );
  }

  /** Of items only what is live is stored; of notes, three versions a record at most. */
  #checkStored({ collections, floor, head }: Metrics): void {
    const { model } = this.#stage;
    if (floor < model.lastChange)
      this.#stage.fault(
        "VG3",
        `nobody holds anything, and the floor is ${floor}; the last change was ${model.lastChange}, the head is ${head}`,
      );
    for (const name of names) {
      const live = model.at(model.head)(name).size;
      const { versions, tombstones } = collections[name]!.records;
      // A deletion goes once it is below the floor, not at it.
      const fresh = model.deletedFrom(name, floor);
      const most = name === "notes" ? 3 * (live + tombstones) + 3 * keysOfNotes : live + fresh;
      if (versions < live || versions > most)
        this.#stage.fault(
          "VG1",
          `${versions} versions of ${name} are stored, ${tombstones} of them deletions; ${live} records are live`,
        );
    }
  }

  async #reopen(actor: Actor): Promise<void> {
    await this.#sure(actor, "closing", () => actor.db.close());
    actor.die();
    actor.begin();
    await this.#compare(actor, actor.db, "whoever opens it last");
    await this.#sure(actor, "closing", () => actor.db.close());
    const left = [...(await this.#stage.world.process("auditor").environment.locks.held())].filter((name) =>
      name.includes(databaseName),
    );
    if (left.length > 0) this.#stage.fault("TB4", `when all tabs are closed, somebody holds ${left.join()}`);
  }

  /** Nobody said that he did it: then somebody died, or lost his connection, while he did. */
  #unclaimed(what: string): void {
    const { counts } = this.#stage;
    const isExplained = ["lost", "power", "kill", "crashWorker", "loseConnection", "STORAGE_LOST"].some(
      (c) => (counts.get(c) ?? 0) > 0,
    );
    if (!isExplained) this.#stage.fault("MV1", `nobody did ${what}`);
  }

  async #sure<T>(actor: Actor, what: string, call: () => Promise<T>): Promise<T | undefined> {
    const outcome = await actor.call(what, call);
    if (outcome.is === "done") return outcome.value;
    if (outcome.is === "failed" && outcome.error.code === "CORRUPT" && this.#stage.damaged) return undefined;
    const why = outcome.is === "failed" ? `${outcome.error.code} ${outcome.error.message}` : "it is lost";
    this.#stage.fault("INTERNAL", `in the end, ${what}: ${why}`);
    return undefined;
  }
}
