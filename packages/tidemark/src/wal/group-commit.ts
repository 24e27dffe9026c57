/**
 * Group commit: while one append is on its way to storage, further commits gather; together they make the next entry.
 *
 * One round, for the members gathered:
 *   prepare   load what judging them needs from storage (asynchronous)
 *   seal      judge them in order against the head and one another, turn away the losers, encode the rest (synchronous)
 *   append    add the entry at the position after the head
 * Losing the position to another tab is no conflict: catch up and take the round again. After `maxClashes` lost races
 * the tail is read and the entry sealed and added inside one transaction, which cannot lose.
 *
 * Losing the connection is none either: the entry is looked up in the log, and is never sent twice. It holds the only
 * position it can ever take, so where that is free or another's, it was not appended: take the round again. On a full
 * disk those who only delete go on by themselves: they free room, and may have some that is kept in reserve.
 */
import type { Seq } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Durability, ReserveUse, Storage, StoredValue } from "../storage/contract.ts";
import { append, type Fence, followed, type Head, tailReads } from "./log.ts";
import type { LogEntry } from "./entry.ts";

const maxClashes = 3;
/** A round is taken again after so many lost connections. */
const maxLosses = 3;
const maxMembers = 1000;
/** A larger storage transaction would hold up other tabs' commits noticeably. */
const maxGroupBytes = 256 * 1024;

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
  /** About how many bytes it adds to an entry. */
  sizeOf(member: Member): number;
  /** Whether all it does is to delete. */
  onlyDeletes(member: Member): boolean;
  /** What the strictest of the members asked for. */
  durability(members: readonly Member[]): Durability;
  /**
   * Judges the members; those turned away are told. `undefined`: none is left, nothing to append. "look": somebody
   * would be refused, or told that there is nothing to write, for what may have changed since: nobody was told, look
   * at the log's tail and seal again with `isFresh`.
   */
  seal(members: readonly Member[], isFresh: boolean): Sealed | "look" | undefined;
  /** The entry sealed last is durable: apply it and tell its members. */
  committed(sealed: Sealed): void;
  /** The state is read anew. `unsure` was written where it may count: its members learn what became of it. */
  reload(unsure?: Sealed): Promise<void>;
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
    this.#running ??= this.#run();
  }

  /** Resolves when everything submitted so far has been told its outcome. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await this.#attempt(this.#gather());
      }
    } finally {
      this.#running = undefined; // in the same turn as the last look at who waits
    }
  }

  /** The next group: at least one member, and no more than one small storage transaction takes. */
  #gather(): readonly Member[] {
    let n = 0;
    for (let sizeBytes = 0; n < this.#waiting.length && n < maxMembers; n++) {
      sizeBytes += this.#participants.sizeOf(this.#waiting[n]!);
      if (n > 0 && sizeBytes > maxGroupBytes) break;
    }
    return this.#waiting.splice(0, n);
  }

  /** Commits the members, or tells them why not. */
  async #attempt(members: readonly Member[]): Promise<void> {
    try {
      await this.#commit(members);
    } catch (e) {
      const parts = isTidemarkError(e, "QUOTA_EXCEEDED") ? this.#partsByKind(members) : [];
      if (parts.length < 2) this.#participants.failed(members, e);
      else for (const part of parts) await this.#attempt(part);
    }
  }

  /** In their order: stretches of members that only delete, and of others. */
  #partsByKind(members: readonly Member[]): readonly (readonly Member[])[] {
    const parts: Member[][] = [];
    let last: boolean | undefined;
    for (const member of members) {
      const kind = this.#participants.onlyDeletes(member);
      if (kind === last) parts.at(-1)?.push(member);
      else parts.push([member]);
      last = kind;
    }
    return parts;
  }

  async #commit(members: readonly Member[]): Promise<void> {
    const p = this.#participants;
    let isFresh = false;
    for (let clashes = 0, losses = 0; ;) {
      try {
        do await p.prepare(members);
        while (!p.isPrepared());
      } catch (e) {
        if (isTidemarkError(e, "STORAGE_LOST")) throw e;
        return this.#oneByOne(members, e);
      }
      const round = new Round();
      try {
        const end: RoundEnd =
          clashes < maxClashes ? await this.#append(members, isFresh, round) : await this.#commitInside(members, round);
        if (end === "over") return;
        if (end === "clash") clashes++;
        isFresh ||= end !== "again";
      } catch (e) {
        await this.#lookUp(e, round);
        if (++losses > maxLosses) throw lost("none", e); // known by now
      }
    }
  }

  async #append(members: readonly Member[], isFresh: boolean, round: Round): Promise<RoundEnd> {
    const p = this.#participants;
    const sealed = p.seal(members, isFresh);
    if (!sealed) return "over";
    if (sealed === "look") {
      await p.follow();
      return "followed";
    }
    const { bytes, firstSeq } = sealed;
    const appending = append(this.#storage, bytes, firstSeq, p.fence, this.#terms(members));
    const outcome = await appending.catch((e: unknown) => round.fail(sealed, e));
    if (outcome === "appended") {
      p.committed(sealed);
      return "over";
    }
    if (outcome === "clash") {
      await p.follow();
      return "clash";
    }
    if (outcome === "unsure") round.unsure = sealed;
    await p.reload(round.unsure);
    return "again";
  }

  #terms(members: readonly Member[]): { readonly durability: Durability; readonly reserve: ReserveUse } {
    const p = this.#participants;
    const isFreeing = members.every((m) => p.onlyDeletes(m));
    return { durability: p.durability(members), reserve: isFreeing ? "some" : "none" };
  }

  /**
   * The round met a failure. Where its entry may be in the log all the same, its members learn what became of it; they
   * fail with outcome "unknown" only where that cannot be told. Returns where the round may be taken again.
   */
  async #lookUp(error: unknown, { unsure }: Round): Promise<void> {
    if (!unsure && !isTidemarkError(error, "STORAGE_LOST")) throw error;
    try {
      await this.#participants.reload(unsure);
    } catch (e) {
      throw !unsure || isTidemarkError(e, "CLOSED") ? e : lost("unknown", e);
    }
  }

  /** What one member needs cannot be read: the others shall not fail with it. */
  async #oneByOne(members: readonly Member[], why: unknown): Promise<void> {
    if (members.length === 1) throw why;
    for (const member of members) {
      try {
        await this.#commit([member]);
      } catch (e) {
        this.#participants.failed([member], e);
      }
    }
  }

  /** Tail and append in one transaction, which cannot lose its position. */
  async #commitInside(members: readonly Member[], round: Round): Promise<RoundEnd> {
    const p = this.#participants;
    const { head, fence } = p;
    let sealed: Sealed | undefined;
    let stale = false;
    let judged = false;
    const committing = this.#storage.commit({
      ...this.#terms(members),
      stores: ["log"],
      reads: tailReads(head.seq),
      writes: (found) => {
        sealed = undefined;
        judged = false;
        const tail = followed(found, head, fence);
        stale = tail.status === "reload" || tail.broken || !p.applyTail(tail.entries);
        if (stale || !p.isPrepared()) return undefined;
        judged = true;
        const fresh = p.seal(members, true);
        sealed = fresh === "look" ? undefined : fresh;
        return sealed && [{ kind: "add", store: "log", key: sealed.firstSeq, value: sealed.bytes }];
      },
    });
    const done = await committing.catch((e: unknown) => round.fail(sealed, e));
    if (stale) {
      await p.reload();
      return "again";
    }
    if (done.status === "committed" && sealed) p.committed(sealed);
    return judged && done.status !== "exists" ? "over" : "again";
  }
}

/** How a round ended: everybody was told; what others appended was read; so it was, and they had taken the position. */
type RoundEnd = "over" | "followed" | "clash" | "again";

class Round {
  /** Its entry, where that may be in the log although nobody said so. */
  unsure: Sealed | undefined;

  /** Notes what a failure leaves open about an entry that was being appended. @throws it */
  fail(sealed: Sealed | undefined, error: unknown): never {
    if (isTidemarkError(error, "STORAGE_LOST") && error.details["outcome"] !== "none") this.unsure = sealed;
    throw error;
  }
}

const lost = (outcome: "none" | "unknown", cause: unknown): TidemarkError =>
  new TidemarkError("STORAGE_LOST", "The connection to the storage was lost during the commit", { outcome }, cause);
