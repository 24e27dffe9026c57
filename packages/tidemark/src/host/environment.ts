/**
 * Everything outside that the host touches: time, chance, locks, channels, media. Injected, so that a simulator or a
 * test can own it; `browserEnvironment` is the real one.
 */
import type { Clock, Random } from "../base/clock.ts";
import type { StorageFactory } from "../storage/contract.ts";

/** A lock held; `lost` resolves when somebody stole it. */
export interface HeldLock {
  readonly lost: Promise<void>;
  release(): void;
}

export interface LockRequest {
  readonly mode?: "exclusive" | "shared";
  readonly steal?: boolean;
  /** Give up after so long; without it wait for ever. */
  readonly timeoutMs?: number;
}

export interface Locks {
  /** `undefined` when it was not granted in time. */
  request(name: string, options?: LockRequest): Promise<HeldLock | undefined>;
  /** Names of the locks held by anybody. */
  held(): Promise<ReadonlySet<string>>;
  /** Whether tabs really share these locks. */
  readonly areShared: boolean;
}

/** A broadcast channel: to all others of its name, never to oneself. Messages may be late or lost. */
export interface Channel {
  post(message: unknown): void;
  close(): void;
}

export interface Environment {
  readonly clock: Clock;
  /** Ms since some moment: never falls, and finer than a ms where the platform has that. */
  ticks(): number;
  /** Resolves after others had their turn: messages, timers, answers of storage. */
  giveWay(): Promise<void>;
  readonly random: Random;
  readonly locks: Locks;
  channel(name: string, receive: (message: unknown) => void): Channel;
  /** @throws ENVIRONMENT where there is no such medium here. */
  storage(kind: "indexeddb" | "memory"): StorageFactory;
}
