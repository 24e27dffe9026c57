/** A live query: it tells states in their order, each as it was, and in the end the last one. */
import type { Actor } from "./actor.ts";
import type { Question } from "./questions.ts";

/** A commit reaches a live query of an awake tab within this, lost messages included. */
const latestMs = 10_000;

export class Follower {
  readonly #actor: Actor;
  readonly #question: Question;
  readonly #life: number;
  #low: number;
  #last: string | undefined;
  #isOver = false;
  readonly #leave: () => void;

  constructor(actor: Actor, question: Question) {
    this.#actor = actor;
    this.#question = question;
    this.#life = actor.life;
    this.#low = actor.low;
    const subscription = actor.db
      .live((q) => question.ask(q))
      .subscribe({
        next: (answer) => this.#hear(answer),
        error: (error) => this.#end(error),
      });
    this.#leave = () => subscription.unsubscribe();
  }

  leave(): void {
    this.#isOver = true;
    this.#leave();
  }

  get #isCut(): boolean {
    return this.#isOver || this.#actor.life !== this.#life || this.#actor.isDead;
  }

  #hear(answer: string): void {
    if (this.#isCut) return;
    const { stage } = this.#actor;
    const seen = this.#actor.stateOf(this.#low, (state) => this.#question.answer(state) === answer);
    if (seen === undefined)
      stage.fault(
        "TB3",
        `live ${this.#question.what} of ${this.#actor.name} tells ${answer}, as no state from ${this.#low} to ${stage.model.head}`,
      );
    else this.#low = seen;
    this.#last = answer;
  }

  #end(error: unknown): void {
    if (this.#isCut) return;
    this.#isOver = true;
    const { stage, name } = this.#actor;
    if (!stage.engine.isTidemarkError(error)) throw error;
    if (error.code !== "CLOSED" && !stage.isExcused(error, name, 0))
      stage.fault("INTERNAL", `live ${this.#question.what} of ${name} ended: ${error.code} ${error.message}`);
  }

  async settled(): Promise<void> {
    const { stage, isOutdated } = this.#actor;
    if (isOutdated) return; // it reads what was before the migration
    const right = this.#question.answer(stage.model.at(stage.model.head));
    for (let ms = 0; ms < latestMs && !this.#isCut && this.#last !== right; ms += 100) await stage.world.sleep(100);
    if (!this.#isCut && this.#last !== right)
      stage.fault("TB3", `live ${this.#question.what} of ${this.#actor.name} stays at ${this.#last}; it is ${right}`);
  }
}
