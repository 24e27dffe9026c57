import { type Stamp, stamp } from "./brand.ts";

/** Everything that is time or chance comes through here, so that a simulator can own it. */
export interface Clock {
  /** Wall time in ms since 1970. May jump either way. */
  now(): number;
  /** Resolves after about `ms`. */
  sleep(ms: number): Promise<void>;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A fresh identity, unique across devices. */
  id(): string;
}

const ticksPerMs = 1024;

/**
 * The stamp of a commit made at wall time `nowMs` after `last` (Kulkarni et al., "Logical Physical Clocks", 2014,
 * with the counter packed below the millisecond; a full counter carries into it). Strictly greater than `last`.
 */
export function nextStamp(last: Stamp, nowMs: number): Stamp {
  return stamp(Math.max(Math.floor(nowMs) * ticksPerMs, last + 1));
}

/** The wall time that a stamp was made at or after, in ms since 1970. */
export const msOf = (made: Stamp): number => Math.floor(made / ticksPerMs);
