/** What the rounds so far come to. */
import { median } from "../format.ts";
import type { Timing } from "./heats.ts";

export type Contestant = "tidemark" | "dexie";

export class Standings {
  readonly #timings = new Map<string, Timing[]>();

  add(work: string, who: Contestant, timing: Timing): void {
    const key = `${work}/${who}`;
    this.#timings.set(key, [...(this.#timings.get(key) ?? []), timing]);
  }

  rounds(work: string, who: Contestant): readonly number[] {
    return (this.#timings.get(`${work}/${who}`) ?? []).map(({ tookMs }) => tookMs);
  }

  median(work: string, who: Contestant): number | undefined {
    return median(this.rounds(work, who));
  }

  /** Whether every answer to it was the same. */
  agree(work: string): boolean {
    const answers = (["tidemark", "dexie"] as const).flatMap((who) => this.#timings.get(`${work}/${who}`) ?? []);
    return answers.every(({ answer }) => answer === answers[0]?.answer);
  }
}
