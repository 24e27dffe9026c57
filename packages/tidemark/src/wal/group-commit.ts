/**
 * Group commit: while one append is on its way to storage, further commits gather; together they make the next entry.
 *
 * One round, for the members gathered:
 *   prepare   load what judging them needs from storage (asynchronous)
 *   seal      judge them in order against the head and one another, turn away the losers, encode the rest (synchronous)
 *   append    add the entry at the position after the head
 * Losing the position to another tab is no conflict: catch up and take the round again. After `maxClashes` lost races
 * the tail is read and the entry sealed and added inside one transaction, which cannot lose.
 */
import type { Seq } from "../base/brand.ts";
import { type Durability, type Storage, type StoredValue } from "../storage/contract.ts";
import { append, type Fence, followed, type Head, tailReads } from "./log.ts";
import type { LogEntry } from "./entry.ts";

const maxClashes = 3;
const maxMembers = 1000;

export interface Sealed {
  readonly bytes: StoredValue;
  readonly firstSeq: Seq;
}

export interface Participants<Member> {
  readonly head: Head;
  readonly fence: Fence;
  prepare(members: readonly Member[]): Promise<void>;
  /** Whether what was prepared last still holds, so that `seal` may judge. */
  isPrepared(): boolean;
  /** What the strictest of the members asked for. */
  durability(members: readonly Member[]): Durability;
  /** Judges the members; those turned away are told. `undefined`: none is left, nothing to append. */
  seal(members: readonly Member[]): Sealed | undefined;
  /** The entry sealed last is durable: apply it and tell its members. */
  committed(sealed: Sealed): void;
  /** The entry sealed last was written where it may or may not count; nothing may be assumed. */
  reload(): Promise<void>;
  follow(): Promise<void>;
  /** Applies entries found in the tail; false where they do not continue the head. */
  applyTail(entries: readonly LogEntry[]): boolean;
  /** The append failed for all who were not told yet. */
  failed(members: readonly Member[], error: unknown): void;
}

export class GroupCommit<Member> {
  readonly #storage: Storage;
  readonly #participants: Participants<Member>;
  #waiting: Member[] = [];
  #running: Promise<void> | undefined;

  constructor(storage: Storage, participants: Participants<Member>) {
    this.#storage = storage;
    this.#participants = participants;
  }

  submit(member: Member): void {
    this.#waiting.push(member);
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Resolves when everything submitted so far has been told its outcome. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const members = this.#waiting.splice(0, maxMembers);
      try {
        await this.#commit(members);
      } catch (e) {
        this.#participants.failed(members, e);
      }
    }
  }

  async #commit(members: readonly Member[]): Promise<void> {
    const p = this.#participants;
    for (let clashes = 0; ;) {
      do await p.prepare(members);
      while (!p.isPrepared());
      if (clashes >= maxClashes) {
        if (await this.#commitInside(members)) return;
        continue;
      }
      const sealed = p.seal(members);
      if (!sealed) return;
      const durability = p.durability(members);
      const outcome = await append(this.#storage, sealed.bytes, sealed.firstSeq, p.fence, durability);
      if (outcome === "appended") {
        p.committed(sealed);
        return;
      }
      if (outcome === "clash") {
        clashes++;
        await p.follow();
      } else await p.reload();
    }
  }

  /** Tail and append in one transaction. False: the state has to be loaded or prepared anew first. */
  async #commitInside(members: readonly Member[]): Promise<boolean> {
    const p = this.#participants;
    const { head, fence } = p;
    let sealed: Sealed | undefined;
    let stale = false;
    let judged = false;
    const done = await this.#storage.commit({
      durability: p.durability(members),
      reads: tailReads(head.seq),
      writes: (found) => {
        const tail = followed(found, head, fence);
        stale = tail.status === "reload" || tail.broken || !p.applyTail(tail.entries);
        if (stale || !p.isPrepared()) return undefined;
        judged = true;
        sealed = p.seal(members);
        return sealed && [{ kind: "add", store: "log", key: sealed.firstSeq, value: sealed.bytes }];
      },
    });
    if (stale) {
      await p.reload();
      return false;
    }
    if (done.status === "committed" && sealed) p.committed(sealed);
    return judged;
  }
}
