/**
 * Group commit: while one append is on its way to storage, further commits gather; together they make the next entry.
 *
 * One round, for the members gathered:
 *   prepare   load what judging them needs from storage (asynchronous)
 *   seal      judge them in order against the head and one another, turn away the losers, encode the rest (synchronous)
 *   append    add the entry at the position after the head
 *
 * Writes that are too many for one small transaction are staged between sealing and appending, and the members are
 * judged again if anything was committed meanwhile; nearly always what was staged still is what they write.
 * Losing the position to another tab is no conflict: catch up and take the round again. After `maxClashes` lost races
 * the tail is read and the entry sealed and added inside one transaction, which cannot lose. So is at once what a member
 * decides by other rows, and writes with rows of its own: it makes a group by itself.
 *
 * Losing the connection is none either: the entry is looked up in the log, and is never sent twice. It holds the only
 * position it can ever take, so where that is free or another's, it was not appended: take the round again. On a full
 * disk those who only delete go on by themselves: they free room, and may have some that is kept in reserve.
 */
import type { Seq } from "../base/brand.ts";
import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type {
  Durability,
  Found,
  Read,
  ReserveUse,
  Storage,
  StoredValue,
  StoreName,
  Write,
} from "../storage/contract.ts";
import { append, type AppendTerms, appendStaged, type Fence, followed, type Head, tailReads } from "./log.ts";
import type { LogEntry } from "./entry.ts";
import type { OutsideRef } from "../codec/outside.ts";
import { stageValues } from "./stage-values.ts";
import {
  areStaged,
  published,
  publishedStores,
  readStaged,
  type Staged,
  type Staging,
  sweptMeanwhile,
} from "./staging.ts";

const maxClashes = 3;
/** A round is taken again after so many lost connections. */
const maxLosses = 3;
const maxMembers = 1000;
/** What goes beyond `maxEntryBytes` is staged: a group of small commits should not be. */
const maxGroupBytes = 48 * 1024;

export interface Sealed {
  readonly bytes: StoredValue;
  readonly firstSeq: Seq;
  /** What it refers to and publishes. */
  readonly staged: readonly Staged[];
}

/** The writes of a group, too many to stand in its entry. */
export interface Body {
  readonly bytes: Uint8Array;
  /** Takes what of it was staged ahead; `undefined` where nothing is to be had. */
  readonly ahead?: (() => Promise<StagedBody | undefined>) | undefined;
}
/** The same, staged. */
export interface StagedBody extends Pick<Body, "bytes"> {
  readonly ref: OutsideRef;
  readonly staged: readonly Staged[];
}

/** What a member looks at, besides the log, inside the transaction that appends its entry; and what it may write there. */
export interface Beside {
  readonly reads: readonly Read[];
  readonly stores: readonly StoreName[];
  readonly reserve: ReserveUse;
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
  /** Set where the member has to be decided, and so sealed, inside the transaction. */
  beside(member: Member): Beside | undefined;
  /**
   * Has such a member decide, at the head, by what its reads found; it is sealed next. Answers the rows that go with its
   * entry: all or nothing.
   */
  decide(member: Member, found: readonly Found[]): readonly Write[];
  /** What the members would publish. */
  staged(members: readonly Member[]): readonly Staged[];
  /** What the strictest of the members asked for. */
  durability(members: readonly Member[]): Durability;
  /**
   * Judges the members; those turned away are told. `undefined`: none is left, nothing to append. "look": somebody
   * would be refused, or told that there is nothing to write, for what may have changed since: nobody was told, look
   * at the log's tail and seal again with `isFresh`. A `Body`: stage it and seal again with it.
   */
  seal(members: readonly Member[], isFresh: boolean, body?: StagedBody): Sealed | Body | "look" | undefined;
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
  readonly #staging: Staging;
  readonly #participants: Participants<Member>;
  #waiting: Member[] = [];
  #running: Promise<void> | undefined;

  constructor(storage: Storage, staging: Staging, participants: Participants<Member>) {
    this.#storage = storage;
    this.#staging = staging;
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
      await Promise.resolve(); // those of one turn go together
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
      const member = this.#waiting[n]!;
      sizeBytes += this.#participants.sizeOf(member);
      if (n > 0 && sizeBytes > maxGroupBytes) break;
      if (this.#participants.beside(member)) return this.#waiting.splice(0, Math.max(n, 1));
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
    const body = new BodyStage(this.#staging);
    try {
      await this.#commitWith(members, body);
    } finally {
      void body.discard(); // does nothing where it was published, also if nobody could say so
    }
  }

  async #commitWith(members: readonly Member[], body: BodyStage): Promise<void> {
    const p = this.#participants;
    let isFresh = false;
    for (let clashes = 0, losses = 0, sweeps = 0; ;) {
      try {
        do await p.prepare(members);
        while (!p.isPrepared());
      } catch (e) {
        if (isTidemarkError(e, "STORAGE_LOST")) throw e;
        return this.#oneByOne(members, e);
      }
      const round = new Round();
      try {
        const isInside = clashes >= maxClashes || p.beside(members[0]!) !== undefined;
        const end: RoundEnd = isInside
          ? await this.#commitInside(members, body, round)
          : await this.#append(members, isFresh, body, round);
        if (end === "over") return;
        if (end === "swept" && (!body.staged || ++sweeps > 1)) return this.#oneByOne(members, sweptMeanwhile());
        if (end === "swept") await body.discard(); // it may be that which is gone
        if (end === "clash") clashes++;
        isFresh ||= end !== "again";
      } catch (e) {
        await this.#lookUp(e, round);
        if (++losses > maxLosses) throw lost("none", e); // known by now
      }
    }
  }

  async #append(members: readonly Member[], isFresh: boolean, body: BodyStage, round: Round): Promise<RoundEnd> {
    const p = this.#participants;
    const sealed = p.seal(members, isFresh, body.staged);
    if (!sealed) return "over";
    if (sealed === "look") {
      await p.follow();
      return "followed";
    }
    const terms = this.#terms(members);
    if (!isSealed(sealed)) {
      await body.stage(sealed, terms.reserve);
      return "again";
    }
    const { bytes, firstSeq, staged } = sealed;
    const appending =
      staged.length === 0
        ? append(this.#storage, bytes, firstSeq, p.fence, terms)
        : appendStaged(this.#storage, bytes, firstSeq, p.fence, terms, staged);
    const outcome = await appending.catch((e: unknown) => round.fail(sealed, e));
    if (outcome === "appended") {
      body.publishedWith(sealed);
      p.committed(sealed);
      return "over";
    }
    if (outcome === "clash") {
      await p.follow();
      return "clash";
    }
    if (outcome === "unstaged") return "swept";
    if (outcome === "unsure") round.unsure = sealed;
    await p.reload(round.unsure);
    return "again";
  }

  #terms(members: readonly Member[]): AppendTerms {
    const p = this.#participants;
    const beside = p.beside(members[0]!);
    if (beside) return { durability: p.durability(members), reserve: beside.reserve };
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
  async #commitInside(members: readonly Member[], body: BodyStage, round: Round): Promise<RoundEnd> {
    const p = this.#participants;
    const { head, fence } = p;
    let sealed: Sealed | undefined;
    let toStage: Body | undefined;
    let stale: "follow" | "reload" | undefined;
    let judged = false;
    let isUnstaged = false;
    const beside = p.beside(members[0]!);
    const reads = [...tailReads(head.seq), ...(beside?.reads ?? [])];
    const staged = [...p.staged(members), ...(body.staged?.staged ?? [])];
    const terms = this.#terms(members);
    const committing = this.#storage.commit({
      ...terms,
      stores: ["log", ...publishedStores(staged), ...(beside?.stores ?? [])],
      reads: [...reads, ...readStaged(staged)],
      writes: (found) => {
        sealed = undefined;
        toStage = undefined;
        judged = false;
        isUnstaged = !areStaged(found.slice(reads.length));
        if (isUnstaged) return undefined;
        const tail = followed(found, head, fence);
        stale = tail.status === "reload" || tail.broken ? "reload" : taken(tail.entries, p);
        if (stale || !p.isPrepared()) return undefined;
        const rows = beside ? p.decide(members[0]!, found.slice(2, reads.length)) : [];
        const fresh = p.seal(members, true, body.staged);
        if (fresh && fresh !== "look" && !isSealed(fresh)) {
          toStage = fresh;
          return undefined;
        }
        judged = true;
        sealed = fresh === "look" ? undefined : fresh;
        return (
          sealed && [
            { kind: "add", store: "log", key: sealed.firstSeq, value: sealed.bytes },
            ...published(sealed.staged),
            ...rows,
          ]
        );
      },
    });
    const done = await committing.catch((e: unknown) => round.fail(sealed, e));
    if (isUnstaged) return "swept";
    if (toStage) await body.stage(toStage, terms.reserve);
    if (stale) {
      await (stale === "follow" ? p.follow() : p.reload());
      return "again";
    }
    if (done.status === "committed" && sealed) {
      body.publishedWith(sealed);
      p.committed(sealed);
    }
    return judged && done.status !== "exists" ? "over" : "again";
  }
}

/**
 * How a round ended: everybody was told; what others appended was read; so it was, and they had
 * taken the position; what the members refer to is not staged any more; anything else, to be taken again.
 */
type RoundEnd = "over" | "followed" | "clash" | "swept" | "again";

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

const isSealed = (sealed: Sealed | Body): sealed is Sealed => "firstSeq" in sealed;

/** Applies the tail inside a transaction; what lies out of line has to be read before. */
function taken<Member>(
  entries: readonly LogEntry[],
  participants: Participants<Member>,
): "follow" | "reload" | undefined {
  if (entries.some((e) => !e.isWhole)) return "follow";
  return participants.applyTail(entries) ? undefined : "reload";
}

/** The body of one group on its way: staged once, and again only if the group turns out to write something else. */
class BodyStage {
  readonly #staging: Staging;
  #staged: StagedBody | undefined;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  get staged(): StagedBody | undefined {
    return this.#staged;
  }

  async stage({ bytes, ahead }: Body, reserve: ReserveUse): Promise<void> {
    await this.discard();
    this.#staged = await ahead?.();
    if (this.#staged) return;
    const { refs, staged } = await stageValues(this.#staging, [bytes], reserve);
    this.#staged = { bytes, ref: refs[0]!, staged };
  }

  /** Nothing is left to discard if the entry refers to it: a group may have shrunk so far that it does not. */
  publishedWith({ staged }: Sealed): void {
    if (this.#staged?.staged.every((s) => staged.includes(s))) this.#staged = undefined;
  }

  async discard(): Promise<void> {
    if (this.#staged) await this.#staging.discard(this.#staged.staged);
    this.#staged = undefined;
  }
}
