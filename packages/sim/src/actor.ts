/**
 * A tab and the program in it. It does the steps of its plan one after another, and holds every answer against the
 * model: a plain read against some state between what the tab knew when it asked and what there was when it heard.
 */
import type { Migrations, View } from "tidemark";
import type { Tab } from "tidemark/testing";
import type { Intent, State } from "./model.ts";
import type { Step } from "./plan.ts";
import { Random } from "./random.ts";
import { type Question, questionOf } from "./questions.ts";
import { type Collections, idOf, type Name, names } from "./schema.ts";
import { databaseName, type Db, follow, type Outcome, type Stage } from "./stage.ts";
import { Upkeeping } from "./upkeeping.ts";
import { Follower } from "./follower.ts";
import { transact } from "./transact.ts";
import { writeOf } from "./writing.ts";

/** What a look at the clock takes a tab. */
const lookMs = 0.02;

interface HeldView {
  readonly view: View<Collections>;
  /** What it was opened on. */
  readonly db: Db;
  readonly name: string;
}

export class Actor {
  readonly stage: Stage;
  readonly name: string;
  /** Counts up with every death: what an earlier life awaits is lost. */
  life = 0;
  /** The lowest seq that a read called now may see: a tab never goes back. */
  low = 0;
  version = 1;
  #tab!: Tab;
  #db!: Db;
  #steps: Step[];
  #views: HeldView[] = [];
  readonly #followers: Follower[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #isDead = true;

  constructor(stage: Stage, n: number) {
    this.stage = stage;
    this.name = `tab${n}`;
    this.#steps = stage.plan.steps.filter(({ who }) => who === n);
  }

  get tab(): Tab {
    return this.#tab;
  }
  get db(): Db {
    return this.#db;
  }
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Another program has migrated since: this one reads what was before that. */
  get isOutdated(): boolean {
    const { model } = this.stage;
    return this.version < model.versionAt(model.head);
  }

  /** A new tab, with a handle that opens when it is used. */
  begin(): void {
    const { stage } = this;
    this.life++;
    this.#isDead = false;
    this.low = 0;
    this.#tab = stage.world.tab(`${this.name}.${this.life}`);
    this.#tab.process.lookMs = lookMs;
    this.open();
  }

  crashWorker(): void {
    this.#tab.crashWorker();
    this.#tab.process.lookMs = lookMs;
  }

  open(): void {
    const { plan, schema } = this.stage;
    const options = {
      name: databaseName,
      memtableMaxBytes: plan.memtableMaxBytes,
      cacheMaxBytes: plan.cacheMaxBytes,
      durability: plan.isStrict ? ("strict" as const) : ("relaxed" as const),
      gc: { proof: plan.proof, debtMaxCommits: plan.debtMaxCommits },
    };
    const { first, second } = schema;
    const migrations: Migrations = {
      2: async (tx) => void (await tx.collection("items").where().update({ version: 2 })),
    };
    // To the program it is one kind of handle: it uses nothing that only the second version declares.
    const newer = { ...options, version: 2, collections: second as unknown as typeof first, migrations };
    this.#db = this.#tab.createDatabase(this.version === 1 ? { ...options, version: 1, collections: first } : newer);
  }

  /** The tab is no more: what it was about to do nobody hears of. */
  die(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#tab.kill();
    this.forget();
  }

  forget(): void {
    this.#views = [];
    for (const follower of this.#followers.splice(0)) follower.leave();
  }

  /** Does its steps to the end. */
  async run(): Promise<void> {
    for (const step of this.#steps) {
      await this.stage.world.sleep(step.waitMs);
      await this.alive();
      const done = this.#perform(step).catch((e: unknown) => {
        this.stage.fault("INTERNAL", `${step.kind} of ${this.name} threw ${String(e)} ${(e as Error).stack ?? ""}`);
      });
      if (step.isAwaited) await done;
      else this.#underWay.add(done);
    }
    await Promise.all(this.#underWay);
  }

  /** Resolves when there is a tab again. */
  async alive(): Promise<void> {
    while (this.#isDead) await this.stage.world.sleep(20);
  }

  async call<T>(what: string, call: () => Promise<T>): Promise<Outcome<T>> {
    const { life, stage, name, tab } = this;
    const db = this.#db;
    stage.note(`${name} ${what}`);
    const isGone = (): boolean => this.life !== life || this.#isDead;
    const outcome = await follow(stage, { name, tab, isGone }, what, call);
    if (this.life !== life) return { is: "lost" };
    stage.note(
      `${this.name} ${what}: ${outcome.is}${outcome.is === "failed" ? ` ${outcome.error.code} ${outcome.error.message}` : ""}`,
    );
    stage.count(outcome.is === "failed" ? outcome.error.code : outcome.is);
    if (outcome.is !== "failed") return outcome;
    const isOfFormer = outcome.error.code === "CLOSED" && db !== this.#db;
    return isOfFormer || (outcome.isExcused && isUnknown(outcome.error)) ? { is: "lost" } : outcome;
  }

  /** A failure that nothing explains. */
  unexpected(what: string, outcome: Outcome<unknown>): void {
    if (outcome.is !== "failed" || outcome.isExcused) return;
    const { code, message, details } = outcome.error;
    this.stage.fault("INTERNAL", `${what} of ${this.name} failed: ${code} ${message} ${JSON.stringify(details)}`);
  }

  /** Reads the head, and finds the state that was read. */
  async read(question: Question, of: Db = this.#db): Promise<void> {
    const { stage, low } = this;
    const outcome = await this.call(`reads ${question.what}`, () => question.ask(of));
    if (outcome.is !== "done") return this.unexpected(`reading ${question.what}`, outcome);
    const seen = this.stateOf(low, (state) => question.answer(state) === outcome.value);
    if (seen === undefined) {
      const { head } = stage.model;
      stage.fault(
        "TB3",
        `${this.name} reads ${question.what}: ${outcome.value}, as no state from ${low} to ${head}; the head has ${question.answer(stage.model.at(head))}`,
      );
    } else this.saw(seen);
  }

  /** The first seq from `low` on whose state is like that. */
  stateOf(low: number, isLike: (state: State, seq: number) => boolean): number | undefined {
    const { model } = this.stage;
    const high = model.lastFor(this.version);
    for (let r = Math.min(low, high); r <= high; r++) if (isLike(model.at(r), r)) return r;
    return undefined;
  }

  saw(seq: number): void {
    this.low = Math.max(this.low, seq);
  }

  /** A commit of this tab was acknowledged. */
  acknowledged(seq: number, isStrict: boolean): void {
    this.saw(seq);
    if (isStrict) this.stage.strictAcked = Math.max(this.stage.strictAcked, seq);
  }

  /** What has this mark ended by this, and not by its commit. */
  refused(mark: string, { what, seq }: Intent, by: string): void {
    if (seq !== undefined) this.stage.fault("MV1", `${what} (${mark}) ended by ${by}, and is commit ${seq}`);
    this.stage.model.refuse(mark);
  }

  async #perform({ kind, seed }: Step): Promise<void> {
    const random = new Random(seed);
    switch (kind) {
      case "write":
        return writeOf(this, random);
      case "read":
        return this.read(questionOf(random));
      case "transaction":
        return transact(this, random);
      case "burst":
        await Promise.all(Array.from({ length: 2 + random.below(4) }, () => transact(this, new Random(random.seed()))));
        return;
      case "increments":
        return this.#increment(random);
      case "view":
        return this.#openView(random);
      case "viewRead":
        return this.#readView(random);
      case "release":
        return this.#release(random);
      case "live":
        this.#followers.push(new Follower(this, questionOf(random)));
        return;
      case "history":
        return this.#history(random);
      case "reopen":
        return this.#reopen();
      case "upgrade":
        return this.#upgrade();
      default:
        return new Upkeeping(this).perform(kind, random);
    }
  }

  /** Several at once, as MV3 has them: each counts. */
  async #increment(random: Random): Promise<void> {
    const id = idOf(random);
    const all = Array.from({ length: 2 + random.below(4) }, async () => {
      const token = this.stage.token(this.name);
      const intent: Intent = {
        what: `increment ${token}`,
        version: this.version,
        effects: (before) => {
          const found = before("items").get(JSON.stringify(id));
          const writes = found
            ? [["items", new Map([[JSON.stringify(id), { ...found, n: (found["n"] as number) + 1, token }]])] as const]
            : [];
          return { clears: [], writes: new Map(writes) };
        },
      };
      this.stage.model.intend(token, intent);
      const outcome = await this.call(`increments ${id}`, () =>
        this.#db.collection("items").update(id, (current) => ({ ...current, n: current.n + 1, token })),
      );
      if (outcome.is === "failed") {
        const { code } = outcome.error;
        this.refused(token, intent, code);
        if (code !== "CONFLICT") this.unexpected("an increment", outcome);
      } else if (outcome.is === "done" && outcome.value !== undefined) {
        if (intent.seq === undefined) this.stage.fault("MV1", `increment ${token} is acknowledged, and nowhere`);
        else this.acknowledged(intent.seq, this.stage.plan.isStrict);
      }
    });
    await Promise.all(all);
  }

  async #openView(random: Random): Promise<void> {
    const { low, stage } = this;
    const fresh = random.chance(0.4);
    const db = this.#db;
    const { head } = stage.model;
    const outcome = await this.call(`opens a view${fresh ? ", fresh" : ""}`, () => db.readView({ fresh }));
    if (outcome.is !== "done") return this.unexpected("opening a view", outcome);
    const { seq } = outcome.value;
    if (seq < low || seq > stage.model.head)
      stage.fault("TB3", `a view of ${this.name} is at ${seq}, not in ${low} to ${stage.model.head}`);
    if (fresh && seq < head && !this.isOutdated)
      stage.fault("TB3", `a fresh view of ${this.name} is at ${seq}; ${head} was there when it was called`);
    this.saw(seq);
    this.keep(outcome.value, `view@${seq}`, db);
  }

  keep(view: View<Collections>, name: string, db: Db): void {
    this.#views.push({ view, name, db });
  }

  async #readView(random: Random): Promise<void> {
    if (this.#views.length === 0) return;
    const { view, name, db } = random.pick(this.#views);
    const question = questionOf(random);
    const outcome = await this.call(`asks ${name} ${question.what}`, () => question.ask(view));
    if (outcome.is === "failed") {
      const { code } = outcome.error;
      if (code === "VIEW_RELEASED") return; // by a step that did not wait
      if (code === "CLOSED" && db !== this.#db) return;
      if (!outcome.isExcused) return this.unexpected(`asking ${name}`, outcome);
      this.#views = this.#views.filter((held) => held.view !== view);
    }
    if (outcome.is !== "done") return;
    const right = question.answer(this.stage.model.at(view.seq));
    if (outcome.value !== right)
      this.stage.fault(
        "MV2",
        `${name} of ${this.name} answers ${question.what} with ${outcome.value} instead of ${right}`,
      );
  }

  async #release(random: Random): Promise<void> {
    if (this.#views.length === 0) return;
    const [held] = this.#views.splice(random.below(this.#views.length), 1);
    held!.view.release();
  }

  async #history(random: Random): Promise<void> {
    const name: Name = random.pick(names);
    const id = idOf(random);
    const { low, stage } = this;
    const outcome = await this.call(`reads the history of ${name}/${id}`, () => this.#db.collection(name).history(id));
    if (outcome.is !== "done") return this.unexpected("reading a history", outcome);
    const got = outcome.value.map(({ seq, value }) => `${seq}:${value === undefined ? "gone" : value.token}`);
    const key = JSON.stringify(id);
    const isRight = (r: number): boolean => {
      const all = stage.model
        .history(name, key, r)
        .map(({ seq, value }) => `${seq}:${value === undefined ? "gone" : String(value["token"])}`);
      const sure = all.slice(0, name === "notes" ? 3 : 1).filter((version) => !version.endsWith(":gone"));
      return got.every((version) => all.includes(version)) && sure.every((version) => got.includes(version));
    };
    if (this.stateOf(low, (_, r) => isRight(r)) === undefined)
      stage.fault(
        "GM4",
        `${this.name}: the history of ${name}/${id} is ${got.join()}; it was ${JSON.stringify(stage.model.history(name, key, stage.model.head).map(({ seq }) => seq))}`,
      );
  }

  async #reopen(): Promise<void> {
    this.forget();
    const db = this.#db;
    this.open();
    this.unexpected("closing", await this.call("closes", () => db.close()));
  }

  async #upgrade(): Promise<void> {
    this.version = 2;
    this.stage.trouble("outdated", "*", Infinity);
    await this.#reopen();
    this.unexpected("upgrading", await this.call("upgrades", () => this.#db.open()));
  }

  /** Everything that follows something has heard of the last commit. */
  async settled(): Promise<void> {
    for (const follower of this.#followers) await follower.settled();
  }
}

const isUnknown = (error: { readonly code: string; readonly details: Readonly<Record<string, unknown>> }): boolean =>
  error.code === "STORAGE_LOST" && error.details["outcome"] === "unknown";
