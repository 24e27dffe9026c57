/**
 * What the death of a worker means: to calls, and to the question whether another worker is worth a try.
 *
 * What only reads the head is asked of the next worker, and so is what was not sent yet, unless it names a view or
 * transaction: these died too. A write or commit that was sent may lie in the log, so its outcome is "unknown" and
 * nobody sends it again. What was under way at two deaths may be what the workers die of, and is not asked a third time.
 */
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Request } from "../protocol/messages.ts";

/** So many workers are asked the same thing. */
const maxTries = 2;

export type Fate = "goes on" | "none" | "unknown";

/** What becomes of a request when the worker dies that it is meant for. `sent`: to how many workers. */
export function fateOf(request: Request, sent: number): Fate {
  if (sent > 0 && (request.op === "write" || request.op === "commit")) return "unknown";
  return namesHandle(request) || sent >= maxTries ? "none" : "goes on";
}

/** Views and transactions die with their worker. */
export const namesHandle = (request: Request): boolean => "handle" in request && request.handle !== 0;

/** The death itself, as the `error` event tells it. */
export const workerDied = (why: string, more: { readonly putAside?: true } = {}): TidemarkError =>
  new TidemarkError("STORAGE_LOST", `The database worker died: ${why}`, {
    lost: "worker",
    outcome: "unknown",
    ...more,
  });

/** Its page was put aside, and has come back. */
export const endedAside = (): TidemarkError =>
  workerDied("it ended as the browser put its page aside", { putAside: true });

const consequences = {
  none: "this call was not carried out",
  unknown: "this write may or may not have been carried out; read what it was to write before writing it again",
} as const;

/** How a call ends that the worker owed an answer. */
export const owed = (outcome: "none" | "unknown", death: TidemarkError): TidemarkError =>
  new TidemarkError("STORAGE_LOST", `${death.message}; ${consequences[outcome]}`, { lost: "worker", outcome }, death);

/** A worker died, whatever that means to the call that tells. */
export const isWorkerLoss = (e: unknown): e is TidemarkError =>
  isTidemarkError(e, "STORAGE_LOST") && e.details["lost"] === "worker";

/** A worker died, and what failed with this was not carried out: it may be tried on the next one. */
export const isHarmlessLoss = (e: unknown): e is TidemarkError => isWorkerLoss(e) && e.details["outcome"] === "none";

const loopDeaths = 3;
const loopMs = 10_000;

/** Deaths of one handle's workers. */
export class Deaths {
  #atMs: readonly number[] = [];

  /** Counts one that was not planned; answers whether they come so fast that the next worker would die too. */
  add({ details }: TidemarkError, nowMs: number): boolean {
    if (details["putAside"] === true) return false;
    this.#atMs = [...this.#atMs.filter((at) => nowMs - at < loopMs), nowMs];
    return this.#atMs.length >= loopDeaths;
  }
}
