/** What became of the writes of a tab that was killed. */
import type { Found } from "./messages.ts";

export interface Outcome {
  /** Acknowledged, as far as the page heard. */
  readonly told: number;
  readonly found: number;
  /** Acknowledged and not there. */
  readonly lost: number;
  /** There, without an acknowledgement that the page heard. */
  readonly unheard: number;
  /** Writes of the tab that lived on, from the kill until it was told to stop. */
  readonly wentOn?: number;
}

/** A tab numbers its writes from 0 and awaits each, so those it was told of are the first `told`. */
export function outcomeOf(told: number, { count, missing }: Found): Outcome {
  const highest = count + missing; // one more than the highest number found
  // Holes may lie anywhere below it; those among the first `told` are lost, and none of ours is allowed.
  const lost = Math.max(0, told - highest) + missing;
  return { told, found: count, lost, unheard: Math.max(0, highest - told) };
}
