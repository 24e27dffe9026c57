/**
 * Replays a recorded typing session: each of its transactions changes the text and is committed as one transaction of
 * the database. Knows nothing of the page.
 */
import type { TextPatch, TypingSession } from "./session.ts";

/** How many commits may be on their way at once, and how many start in a second. */
export interface Pace {
  readonly inFlight: number;
  readonly perSecond?: number;
}

/** Transactions that are skipped in one go: a few milliseconds' worth. */
const breathTxns = 2000;

export type ReplayState = "running" | "paused" | "done" | "stopped";

const encoder = new TextEncoder();
const utf8Length = (text: string): number => encoder.encode(text).length;

/** `caret`: where the last patch ended. `bytes`: the text's size. */
interface Text {
  readonly text: string;
  readonly bytes: number;
  readonly caret: number;
}

function patched(before: Text, patches: readonly TextPatch[]): Text {
  let { text, bytes, caret } = before;
  for (const [position, deleted, inserted] of patches) {
    const removed = text.slice(position, position + deleted);
    text = text.slice(0, position) + inserted + text.slice(position + deleted);
    bytes += utf8Length(inserted) - utf8Length(removed);
    caret = position + inserted.length;
  }
  return { text, bytes, caret };
}

export class Replay {
  readonly limit: number;
  readonly #session: TypingSession;
  readonly #pace: Pace;
  readonly #commit: (text: string) => Promise<unknown>;
  #now: Text;
  #state: ReplayState = "paused";
  #position = 0;
  #committed = 0;
  #naiveBytes = 0;
  #activeMs = 0;
  #resumedAt: number | undefined;
  #wake: (() => void) | undefined;

  constructor(session: TypingSession, limit: number, pace: Pace, commit: (text: string) => Promise<unknown>) {
    this.#session = session;
    this.limit = Math.min(limit, session.txns.length);
    this.#pace = pace;
    this.#commit = commit;
    const text = session.startContent;
    this.#now = { text, bytes: utf8Length(text), caret: 0 };
  }

  get state(): ReplayState {
    return this.#state;
  }
  get committed(): number {
    return this.#committed;
  }
  get text(): string {
    return this.#now.text;
  }
  get caret(): number {
    return this.#now.caret;
  }
  /** What it takes to store every version whole: the sum of the sizes of all versions committed. */
  get naiveBytes(): number {
    return this.#naiveBytes;
  }
  /** Time spent replaying; pauses do not count. */
  get activeMs(): number {
    return this.#activeMs + (this.#resumedAt === undefined ? 0 : performance.now() - this.#resumedAt);
  }

  /** Goes to the text as it was after so many transactions, without committing any of them. Before `run`. */
  async skipTo(position: number): Promise<void> {
    while (this.#position < position) {
      if (this.#position % breathTxns === 0) await sleepUntil(0);
      this.#now = patched(this.#now, this.#session.txns[this.#position++]!.patches);
    }
  }

  /** Resolves at the end, with every commit done. Rejects when one fails. */
  async run(): Promise<void> {
    this.resume();
    const onTheirWay: Promise<void>[] = [];
    let dueAt = performance.now();
    try {
      for (const { patches } of this.#session.txns.slice(this.#position, this.limit)) {
        if (this.#isHeld()) {
          await this.#untilResumed();
          dueAt = performance.now();
        }
        if (this.#state === "stopped") break;
        onTheirWay.push(this.#step(patches));
        if (onTheirWay.length >= this.#pace.inFlight) await onTheirWay.shift();
        if (this.#pace.perSecond !== undefined) await sleepUntil((dueAt += 1000 / this.#pace.perSecond));
      }
      await Promise.all(onTheirWay);
      if (this.#state !== "stopped") this.#halt("done");
    } catch (e) {
      this.#halt("stopped");
      throw e;
    }
  }

  pause(): void {
    if (this.#state === "running") this.#halt("paused");
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    this.#resumedAt = performance.now();
    this.#wake?.();
  }

  stop(): void {
    if (this.#state === "running" || this.#state === "paused") this.#halt("stopped");
    this.#wake?.();
  }

  #step(patches: readonly TextPatch[]): Promise<void> {
    this.#now = patched(this.#now, patches);
    const { text, bytes } = this.#now;
    const done = this.#commit(text).then(() => {
      this.#committed++;
      this.#naiveBytes += bytes;
    });
    done.catch(() => undefined); // whoever awaits it next is told
    return done;
  }

  // A method, since the state changes while `run` awaits.
  #isHeld(): boolean {
    return this.#state === "paused";
  }

  #untilResumed(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #halt(state: ReplayState): void {
    this.#activeMs = this.activeMs;
    this.#resumedAt = undefined;
    this.#state = state;
  }
}

const sleepUntil = (time: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
