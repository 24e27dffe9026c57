/**
 * Commits: members of a group are judged in order (judge.ts), those who win become one log entry, and everybody is told
 * once that entry is durable, or why there is none.
 */
import { seq } from "../base/brand.ts";
import { type Clock, nextStamp } from "../base/clock.ts";
import { textBytes } from "../base/bytes.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import type { Durability, Found, Write as RowWrite } from "../storage/contract.ts";
import {
  type Commit,
  encodeEntry,
  encodeWrites,
  type LogEntry,
  maxEntryBytes,
  supersededThatFits,
  writesBytes,
} from "../wal/entry.ts";
import {
  type Beside,
  type Body,
  GroupCommit,
  type Participants,
  type Sealed,
  type StagedBody,
} from "../wal/group-commit.ts";
import type { Fence, Head } from "../wal/log.ts";
import { isSwept, type Staged } from "../wal/staging.ts";
import { applyCommit, applyRecords } from "./apply.ts";
import {
  entryOf,
  notWritten,
  outcomeUnknown,
  refuse,
  stagedIsGone,
  tell,
  type GroupState,
  type Member,
  type CommitDone,
  type CommitRequest,
  type Inside,
} from "./group.ts";
import { Memtable } from "./memtable.ts";
import { catalogKey, type Schema } from "./schema.ts";
import type { Store } from "./store.ts";
import { Judge, uniquePrefixes } from "./judge.ts";

/** From here on applying an entry takes milliseconds. */
const largeEntryBytes = 256 * 1024;

interface AcceptedMember {
  readonly member: Member;
  readonly done: CommitDone;
}

/** Lost against members before it in the group: it is told so once these are committed, for they may yet fail. */
interface Beaten {
  readonly member: Member;
  readonly why: TidemarkError;
}

interface Accepted extends Sealed {
  readonly entry: LogEntry;
  readonly members: readonly AcceptedMember[];
  readonly beaten: readonly Beaten[];
}

/** Members judged on a head; their writes encoded where they are to be staged. */
interface Judged {
  readonly head: Head;
  readonly members: readonly Member[];
  readonly accepted: readonly AcceptedMember[];
  readonly beaten: readonly Beaten[];
  readonly commits: readonly Commit[];
  readonly body: Uint8Array | undefined;
}

export class Committer implements Participants<Member> {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #judge: Judge;
  readonly #group: GroupCommit<Member>;
  readonly #onCommitted: (entry: LogEntry, bytes: Uint8Array) => void;
  /** Members whose entry may be in the log although its append did not say so, by commit id. */
  readonly #unsure = new Map<number, AcceptedMember>();
  /** Of the entry sealed last. */
  #beaten: readonly Beaten[] = [];
  #nextId = 1;
  /** What was judged last, while its body is staged. */
  #judged: Judged | undefined;

  constructor(
    store: Store,
    clock: Clock,
    /** The one in force. */
    schema: () => Schema,
    onCommitted: (entry: LogEntry, bytes: Uint8Array) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#judge = new Judge(store, schema);
    this.#group = new GroupCommit(store.storage, store.staging, this);
    this.#onCommitted = onCommitted;
  }

  /** Resolves once durable as asked. Rejects with CONFLICT, CONSTRAINT, QUOTA_EXCEEDED, STORAGE_LOST. */
  commit(request: CommitRequest): Promise<CommitDone> {
    return new Promise((resolve, reject) => {
      this.#group.submit({ request, id: this.#nextId++, told: false, resolve, reject });
    });
  }

  /** Commits what is decided inside the transaction. Where that is nothing, there is no commit. */
  commitInside(inside: Inside): Promise<CommitDone> {
    return this.commit({ writes: [], durability: "strict", tag: "", schemaEpoch: 0, inside });
  }

  settled(): Promise<void> {
    return this.#group.settled();
  }

  /** An entry of ours turned up in the log: its members are committed, whatever their append said. */
  found(entry: LogEntry): void {
    for (const commit of entry.commits) {
      const unsure = this.#unsure.get(commit.id);
      if (unsure) tell(unsure.member, { ...unsure.done, seq: commit.seq, stamp: commit.stamp });
    }
  }

  get head(): Head {
    return this.#store.head;
  }
  get fence(): Fence {
    return this.#store.fence;
  }
  follow(): Promise<void> {
    return this.#store.follow();
  }
  async reload(unsure?: Sealed): Promise<void> {
    await this.#store.reload();
    // Found in the log, its members were told. Folded away meanwhile, nobody can say any more.
    if (unsure && this.#store.fence.seq >= unsure.firstSeq) {
      for (const { member } of this.#unsure.values()) refuse(member, outcomeUnknown());
    }
    this.#unsure.clear();
  }
  applyTail(entries: readonly LogEntry[]): boolean {
    return this.#store.applyTail(entries);
  }

  failed(members: readonly Member[], error: unknown): void {
    this.#unsure.clear();
    const beaten = new Set(this.#beaten.map(({ member }) => member));
    for (const m of members) {
      const why = m.request.basis && isSwept(error) ? stagedIsGone() : error;
      refuse(m, beaten.has(m) ? notWritten(why) : why);
    }
  }

  sizeOf({ request }: Member): number {
    return request.writes.reduce((n, w) => n + w.key.length + (w.payload?.length ?? 0), 0);
  }

  onlyDeletes({ request }: Member): boolean {
    // Clearing and dropping write a catalog; so does declaring something new, which is no more and opens the database.
    return request.writes.every((w) => w.kind === "delete" || w.key === catalogKey);
  }

  beside({ request }: Member): Beside | undefined {
    return request.inside;
  }

  decide(member: Member, found: readonly Found[]): readonly RowWrite[] {
    const { told, request } = member;
    if (told) return [];
    const { head } = this.#store;
    const stamp = nextStamp(head.stamp, this.#clock.now());
    const decided = request.inside?.decide(found, { seq: seq(head.seq + 1), stamp });
    member.decided = { writes: decided?.writes ?? [], stamp };
    return decided?.rows ?? [];
  }

  durability(members: readonly Member[]): Durability {
    return members.some((m) => m.request.durability === "strict") ? "strict" : "relaxed";
  }

  staged(members: readonly Member[]): readonly Staged[] {
    return members.flatMap(({ told, request }) => (told ? [] : (request.staged ?? [])));
  }

  prepare(members: readonly Member[]): Promise<void> {
    return this.#judge.prepare(members);
  }

  isPrepared(): boolean {
    return this.#judge.isPrepared();
  }

  seal(members: readonly Member[], isFresh: boolean, body?: StagedBody): Accepted | Body | "look" | undefined {
    const { head, tab, fence } = this.#store;
    let judged = this.#judged;
    this.#judged = undefined;
    // Nothing was committed while the body was staged: it was judged on what still is.
    if (!body || judged?.body !== body.bytes || judged.members !== members || judged.head !== head) {
      if (!isFresh && this.#needsLook(members)) return "look";
      judged = this.#judgeAll(members);
    }
    const { accepted, beaten, commits } = judged;
    this.#beaten = beaten;
    if (commits.length === 0) {
      // Deletes of what was not there: nothing to log.
      for (const a of accepted) tell(a.member, a.done);
      return undefined;
    }
    if (isLarge(commits)) {
      assert(!members[0]?.decided, "what is decided inside the transaction stands in its entry");
      const ahead = judged.body ? undefined : aheadOf(judged);
      const bytes = judged.body ?? ahead?.bytes ?? encodeWrites(commits);
      if (!body || !sameBytes(bytes, body.bytes)) {
        this.#judged = { ...judged, body: bytes };
        return { bytes, ahead: ahead?.ahead };
      }
    }
    const used = isLarge(commits) ? body : undefined;
    const superseded = used && supersededThatFits(tab, commits, used.ref);
    const bytes = encodeEntry(fence.database, head.checksum, tab, commits, used?.ref, superseded);
    for (const a of accepted) this.#unsure.set(a.member.id, a);
    return {
      bytes,
      firstSeq: commits[0]!.seq,
      staged: [...this.staged(accepted.map(({ member }) => member)), ...(used?.staged ?? [])],
      members: accepted,
      beaten,
      entry: entryOf(bytes, fence.database, head, tab, commits, used?.ref, superseded),
    };
  }

  /** Judges the members in order; those who lose are told. */
  #judgeAll(members: readonly Member[]): Judged {
    assert(this.#judge.isPrepared(), "members are judged on what was prepared for this checkpoint");
    const { head } = this.#store;
    const group: GroupState = { memtable: new Memtable(), touched: [] };
    const isByRecords = members.every(({ request }) => this.#judge.looksAtRecordsOnly(request));
    const accepted: { member: Member; done: CommitDone }[] = [];
    const beaten: Beaten[] = [];
    const commits: Commit[] = [];
    let stamp = head.stamp;
    for (const [position, member] of members.entries()) {
      if (member.told) continue;
      const { request, decided } = member;
      const verdict = this.#judge.judge(decided ? { ...request, writes: decided.writes } : request, group);
      if (verdict instanceof TidemarkError) {
        if (this.#isBeaten(request, verdict, commits)) beaten.push({ member, why: verdict });
        else refuse(member, verdict);
        continue;
      }
      const at = seq(head.seq + commits.length + (verdict.writes.length === 0 ? 0 : 1));
      if (verdict.writes.length > 0) {
        stamp = decided?.stamp ?? nextStamp(stamp, this.#clock.now());
        const commit: Commit = { seq: at, stamp, id: member.id, tag: member.request.tag, writes: verdict.writes };
        commits.push(commit);
        if (position < members.length - 1) {
          if (isByRecords) applyRecords(group.memtable, commit);
          else group.touched.push(applyCommit(group.memtable, commit));
        }
      }
      accepted.push({ member, done: { seq: at, stamp, existed: verdict.existed } });
    }
    return { head, members, accepted, beaten, commits, body: undefined };
  }

  /** Whether what stands in its way is only about to be committed. */
  #isBeaten(request: CommitRequest, { code }: TidemarkError, before: readonly Commit[]): boolean {
    if (code !== "CONSTRAINT" || before.length === 0) return false; // who lost by conflict comes again anyway
    return !(this.#judge.judge(request, nobody) instanceof TidemarkError);
  }

  /**
   * Whether somebody would hear "taken" or "not there" from memory that may be behind other tabs. Those who are
   * accepted are checked by the append itself, and a conflict is one whatever has come since.
   */
  #needsLook(members: readonly Member[]): boolean {
    return members.some(({ told, request }) => {
      if (told) return false;
      const schema = this.#judge.schemaOf(request);
      if (!request.writes.some((w) => w.kind !== "put" || uniquePrefixes(w, schema).length > 0)) return false;
      const verdict = this.#judge.judge(request, nobody);
      if (verdict instanceof TidemarkError) return verdict.code === "CONSTRAINT";
      return verdict.writes.length < request.writes.length;
    });
  }

  committed(sealed: Sealed): void {
    const { entry, members, beaten, bytes } = sealed as Accepted;
    this.#unsure.clear();
    this.#store.applySoon(entry);
    this.#onCommitted(entry, bytes);
    for (const { member, done } of members) tell(member, done);
    for (const { member, why } of beaten) refuse(member, why);
    // Their answers leave before a large entry is taken in.
    if (entry.sizeBytes < largeEntryBytes) this.#store.settle();
    else void this.#clock.sleep(0).then(() => this.#store.settle());
  }
}

/** What was staged ahead for the only commit, where that is what it turned out to write. */
function aheadOf({ accepted, commits }: Judged): Body | undefined {
  const [commit, ...others] = commits;
  const request = accepted[0]?.member.request;
  if (!request?.ahead || !commit || others.length > 0 || accepted.length > 1) return undefined;
  const isAsThought =
    commit.writes.length === request.writes.length && commit.writes.every(({ oldEntries }) => oldEntries.length === 0);
  return isAsThought ? request.ahead : undefined;
}

/** A group of which nobody was accepted yet. */
const nobody: GroupState = { memtable: new Memtable(), touched: [] };

const isLarge = (commits: readonly Commit[]): boolean => {
  let sizeBytes = 0;
  return commits.some(({ tag, writes }) => (sizeBytes += textBytes(tag) + writesBytes(writes)) > maxEntryBytes);
};

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}
