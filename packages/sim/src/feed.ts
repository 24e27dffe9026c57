/** Feeds of changes: as one named consumer that all tabs share, or as nobody in particular. */
import type { ChangeSet } from "tidemark";
import type { Actor } from "./actor.ts";
import { type State, text, type Value } from "./model.ts";
import { type Collections, names } from "./schema.ts";
import type { Outcome, Stage } from "./stage.ts";

const consumer = "sync";
/** So long it waits for something to happen. */
const patienceMs = 400;

type Changes = ChangeSet<Collections>["changes"];
/** Where a feed stands: behind a commit from `least` to `most`; nobody knows where it is lost. */
interface Place {
  readonly least: number;
  readonly most: number;
  readonly isLost: boolean;
}

export class Feed {
  readonly #actor: Actor;
  readonly #stage: Stage;
  readonly #isNamed: boolean;
  readonly #ending = new AbortController();
  #isAnew = false;

  constructor(actor: Actor, isNamed: boolean) {
    this.#actor = actor;
    this.#stage = actor.stage;
    this.#isNamed = isNamed;
  }

  /** Takes some commits, and holds each against the model. */
  async take(count: number): Promise<void> {
    const { stage } = this.#actor;
    const outcome = await this.#actor.call(this.#isNamed ? `follows as ${consumer}` : "follows", async () => {
      const patience = stage.world.sleep(patienceMs).then(() => this.#ending.abort("enough"));
      patience.catch(() => undefined);
      await this.#follow(count).catch((e: unknown) => {
        if (e !== "enough") throw e;
      });
    });
    if (this.#isResync(outcome)) {
      if (this.#isNamed) stage.consumer = { acked: 0, sure: 0, isLapsed: true };
    } else if (outcome.is !== "failed" || outcome.error.code !== "BUSY") {
      this.#actor.unexpected("a feed", outcome);
    }
  }

  /** Where others may have what it needs collected, it is told so. */
  #isResync(outcome: Outcome<unknown>): boolean {
    if (outcome.is !== "failed" || outcome.error.code !== "RESYNC_REQUIRED") return false;
    // Where it waits for its turn to begin at a view, what follows on that may be gone by then.
    return !this.#isNamed || this.#isAnew || this.#actor.isOutdated || this.#stage.had("eviction", "*", 0);
  }

  async #follow(count: number): Promise<void> {
    const { db, low } = this.#actor;
    const { consumer: position } = this.#stage;
    const { signal } = this.#ending;
    // As one is told to go on where the consumer's position is lost: from a view, which is kept open meanwhile.
    const view = this.#isNamed && position.isLapsed ? await db.readView({ fresh: true }) : undefined;
    this.#isAnew = view !== undefined;
    const from = this.#isNamed ? { consumer, ...(view ? { after: view.seq } : {}) } : { after: low };
    const isLost = this.#isNamed && (position.isLapsed || position.sure === 0);
    // Others may acknowledge some, or go back, before it is this one's turn.
    const begin = (): Place =>
      this.#isNamed ? { least: position.sure, most: position.acked, isLost } : { least: low, most: low, isLost };
    let place: Place | undefined;
    let taken = 0;
    try {
      for await (const change of db.changes({ ...from, signal })) {
        this.#check(change, place ?? begin());
        place = { least: change.seq, most: change.seq, isLost: false };
        if (this.#isNamed) await this.#acknowledge(change);
        if (++taken === count) return;
      }
    } finally {
      if (view) position.sure = Math.min(position.sure, Math.max(view.seq, place?.least ?? 0));
      view?.release();
    }
  }

  async #acknowledge(change: ChangeSet<Collections>): Promise<void> {
    const { consumer: position } = this.#stage;
    position.isLapsed = false;
    position.acked = Math.max(position.acked, change.seq);
    await change.ack();
    position.sure = Math.max(position.sure, change.seq);
  }

  /** What follows on a place is told, and nothing is passed over. */
  #check({ seq, changes }: ChangeSet<Collections>, { least, most, isLost }: Place): void {
    const { model } = this.#stage;
    if (seq > model.head) return this.#fault(`tells commit ${seq}, and the head is ${model.head}`);
    if (!isLost && seq <= least) this.#fault(`tells commit ${seq} after ${least}`);
    const passed = isLost ? [] : Array.from({ length: Math.max(0, seq - most - 1) }, (_, i) => most + 1 + i);
    const missed = passed.find((r) => isChange(model.at(r - 1), model.at(r)));
    if (missed !== undefined) this.#fault(`goes from ${most} to ${seq}, past ${missed}`);
    this.#checkEach(seq, changes);
  }

  #checkEach(seq: number, changes: Changes): void {
    const { model } = this.#stage;
    const [before, now] = [model.at(seq - 1), model.at(seq)];
    const isCleared = changes.some(({ cleared }) => cleared);
    for (const change of changes) {
      if (change.cleared) continue;
      const key = text(change.key);
      const [was, is] = [before(change.collection).get(key), now(change.collection).get(key)];
      const told = [tokenOf(change.before), tokenOf(change.after)];
      const isRight = told[1] === tokenOf(is) && (isCleared || told[0] === tokenOf(was));
      if (isRight) continue;
      this.#fault(
        `tells of ${change.collection}/${key} at ${seq}: ${told.join(" → ")}; it is ${tokenOf(was)} → ${tokenOf(is)}`,
      );
    }
  }

  #fault(what: string): void {
    this.#stage.fault("OL1", `a feed of ${this.#actor.name} ${what}`);
  }
}

const tokenOf = (value: unknown): string => String((value as Value | undefined)?.["token"]);

const isChange = (a: State, b: State): boolean =>
  names.some((name) => {
    const [was, is] = [a(name), b(name)];
    return was.size !== is.size || [...was].some(([key, value]) => tokenOf(is.get(key)) !== tokenOf(value));
  });
