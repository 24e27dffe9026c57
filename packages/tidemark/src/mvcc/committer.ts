/**
 * Judging commits (MV3). Members of a group are judged in order, each against everything committed after its view and
 * against the members accepted before it:
 *
 *   serializable   nothing it read, keys or ranges, was touched after its view
 *   snapshot       nothing it writes was written after its view; of what it cleared, nothing at all
 *   both           an `add` finds its key free; a unique index key belongs to nobody else; the schema is still the one
 *                  that its tables were named by
 *
 * What the newest version of a key is, is answered by the group, then the memtable, then the blocks. The last need
 * storage, so `prepare` looks them up beforehand; they stay true as long as the checkpoint does, and whatever commits
 * meanwhile is in the memtable.
 */
import { type ByteKey, byteKey, type Seq, seq, type TabId } from "../base/brand.ts";
import { type Clock, nextStamp } from "../base/clock.ts";
import { textBytes } from "../base/bytes.ts";
import { assert, TidemarkError } from "../base/errors.ts";
import { keyEnd, prefixEnd } from "../codec/key.ts";
import { indexEntriesOf, tableOf, tablePrefixBytes, type Write } from "../codec/record.ts";
import { type Version, versionBytes } from "../segments/version.ts";
import type { Durability, Found, Write as RowWrite } from "../storage/contract.ts";
import {
  type Commit,
  encodeEntry,
  encodeWrites,
  type LogEntry,
  type LoggedWrite,
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
import { applyCommit } from "./apply.ts";
import {
  conflict,
  constraint,
  entryOf,
  type Failure,
  outcomeUnknown,
  refuse,
  releases,
  stagedIsGone,
  tell,
  type GroupState,
  type Member,
  type CommitDone,
  type CommitRequest,
  type Inside,
} from "./group.ts";
import { Memtable } from "./memtable.ts";
import type { ReadSet } from "./read-set.ts";
import { Reader } from "./reader.ts";
import { catalogKey, type Schema } from "./schema.ts";
import type { Store } from "./store.ts";

/** From here on applying an entry takes milliseconds. */
const largeEntryBytes = 256 * 1024;

/** The outcome of judging one member. */
type Verdict = { readonly writes: readonly LoggedWrite[]; readonly existed: readonly boolean[] } | TidemarkError;

interface Base {
  readonly checkpoint: Seq;
  readonly versions: Map<ByteKey, Version | undefined>;
  /** Index entries that blocks hold under a unique index key, by that prefix. */
  readonly owners: Map<ByteKey, readonly ByteKey[]>;
}

interface AcceptedMember {
  readonly member: Member;
  readonly done: CommitDone;
}

interface Accepted extends Sealed {
  readonly entry: LogEntry;
  readonly members: readonly AcceptedMember[];
}

/** Members judged on a head; their writes encoded where they are to be staged. */
interface Judged {
  readonly head: Head;
  readonly members: readonly Member[];
  readonly accepted: readonly AcceptedMember[];
  readonly commits: readonly Commit[];
  readonly body: Uint8Array | undefined;
}

export class Committer implements Participants<Member> {
  readonly #store: Store;
  readonly #reader: Reader;
  readonly #clock: Clock;
  readonly #schema: () => Schema;
  readonly #group: GroupCommit<Member>;
  readonly #onCommitted: (entry: LogEntry, bytes: Uint8Array) => void;
  /** Members whose entry may be in the log although its append did not say so, by commit id. */
  readonly #unsure = new Map<number, AcceptedMember>();
  #nextId = 1;
  #base: Base | undefined;
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
    this.#reader = new Reader(store);
    this.#clock = clock;
    this.#schema = schema;
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
    for (const m of members) refuse(m, m.request.basis && isSwept(error) ? stagedIsGone() : error);
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

  async prepare(members: readonly Member[]): Promise<void> {
    const { manifest, memtable, checkpoint } = this.#store;
    this.#base = undefined;
    if (manifest.filled.length === 0) {
      this.#base = { checkpoint, versions: new Map(), owners: new Map() };
      return;
    }
    const keys: ByteKey[] = [];
    const prefixes = new Set<ByteKey>();
    for (const m of members) {
      if (m.told) continue;
      for (const key of m.request.inside?.keys ?? []) if (memtable.newest(key) === undefined) keys.push(key);
      for (const w of m.request.writes) {
        if (memtable.newest(w.key) === undefined) keys.push(w.key);
        for (const prefix of uniquePrefixes(w, this.#schemaOf(m.request))) prefixes.add(prefix);
      }
    }
    const { checkpoint: of, versions } = await this.#reader.inBlocks(keys);
    const owners = await this.#ownersInBlocks(prefixes);
    // A checkpoint meanwhile moved versions from memory to blocks: what was not asked for may lie there now.
    if (of === checkpoint) this.#base = { checkpoint, versions, owners };
  }

  isPrepared(): boolean {
    return this.#base?.checkpoint === this.#store.checkpoint;
  }

  async #ownersInBlocks(prefixes: ReadonlySet<ByteKey>): Promise<Map<ByteKey, readonly ByteKey[]>> {
    const owners = new Map<ByteKey, readonly ByteKey[]>();
    for (const from of prefixes) {
      const found: ByteKey[] = [];
      await this.#reader.scan({ from, to: prefixEnd(from) }, this.#store.fence.seq, false, undefined, ({ key }) => {
        found.push(key);
        return true;
      });
      owners.set(from, found);
    }
    return owners;
  }

  /** The one whose unique indexes count for a request. */
  #schemaOf({ brings }: CommitRequest): Schema {
    return brings ?? this.#schema();
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
    const { accepted, commits } = judged;
    if (commits.length === 0) {
      // Deletes of what was not there: nothing to log.
      for (const a of accepted) tell(a.member, a.done);
      return undefined;
    }
    if (isLarge(commits)) {
      assert(!members[0]?.decided, "what is decided inside the transaction stands in its entry");
      const bytes = judged.body ?? encodeWrites(commits);
      if (!body || !sameBytes(bytes, body.bytes)) {
        this.#judged = { ...judged, body: bytes };
        return { bytes };
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
      entry: entryOf(bytes, fence.database, head, tab, commits, used?.ref, superseded),
    };
  }

  /** Judges the members in order; those who lose are told. */
  #judgeAll(members: readonly Member[]): Judged {
    assert(this.isPrepared(), "members are judged on what was prepared for this checkpoint");
    const { head } = this.#store;
    const group: GroupState = { memtable: new Memtable(), touched: [] };
    const accepted: { member: Member; done: CommitDone }[] = [];
    const commits: Commit[] = [];
    let stamp = head.stamp;
    for (const [position, member] of members.entries()) {
      if (member.told) continue;
      const { request, decided } = member;
      const verdict = this.#judge(decided ? { ...request, writes: decided.writes } : request, group);
      if (verdict instanceof TidemarkError) {
        refuse(member, verdict);
        continue;
      }
      const at = seq(head.seq + commits.length + (verdict.writes.length === 0 ? 0 : 1));
      if (verdict.writes.length > 0) {
        stamp = decided?.stamp ?? nextStamp(stamp, this.#clock.now());
        const commit: Commit = { seq: at, stamp, id: member.id, tag: member.request.tag, writes: verdict.writes };
        commits.push(commit);
        if (position < members.length - 1) group.touched.push(applyCommit(group.memtable, commit));
      }
      accepted.push({ member, done: { seq: at, stamp, existed: verdict.existed } });
    }
    return { head, members, accepted, commits, body: undefined };
  }

  /**
   * Whether somebody would hear "taken" or "not there" from memory that may be behind other tabs. Those who are
   * accepted are checked by the append itself, and a conflict is one whatever has come since.
   */
  #needsLook(members: readonly Member[]): boolean {
    const empty: GroupState = { memtable: new Memtable(), touched: [] };
    return members.some(({ told, request }) => {
      if (told) return false;
      const schema = this.#schemaOf(request);
      if (!request.writes.some((w) => w.kind !== "put" || uniquePrefixes(w, schema).length > 0)) return false;
      const verdict = this.#judge(request, empty);
      if (verdict instanceof TidemarkError) return verdict.code === "CONSTRAINT";
      return verdict.writes.length < request.writes.length;
    });
  }

  committed(sealed: Sealed): void {
    const { entry, members, bytes } = sealed as Accepted;
    this.#unsure.clear();
    this.#store.applySoon(entry);
    this.#onCommitted(entry, bytes);
    for (const { member, done } of members) tell(member, done);
    // Their answers leave before a large entry is taken in.
    if (entry.sizeBytes < largeEntryBytes) this.#store.settle();
    else void this.#clock.sleep(0).then(() => this.#store.settle());
  }

  #judge(request: CommitRequest, group: GroupState): Verdict {
    // A member accepted before may have changed it: then nobody behind it can know.
    const isChanged = group.memtable.newest(catalogKey) !== undefined;
    const isOther = isChanged || request.schemaEpoch !== this.#schema().epoch;
    if (isOther && !request.inside) return conflict("the schema changed", "schema");
    const schema = this.#schemaOf(request);
    const clash = this.#conflict(request, group);
    if (clash) return clash;
    const writes: LoggedWrite[] = [];
    const existed: boolean[] = [];
    const failures: Failure[] = [];
    const claimed = new Map<ByteKey, ByteKey>();
    request.writes.forEach((w, position) => {
      const before = this.#newest(w.key, group);
      const isThere = before?.payload !== undefined;
      existed.push(isThere);
      if (w.kind === "add" && isThere) failures.push({ position, constraint: "key", taken: w.key });
      if (w.kind === "delete" && !isThere) return;
      const owner = this.#rival(w, schema, request.writes, claimed, group);
      if (owner) failures.push({ position, constraint: "unique", taken: owner });
      const oldEntries = isThere ? liveEntries(indexEntriesOf(w.key, before.payload), schema) : [];
      const supersedes = before?.seq ?? seq(0);
      const supersededBytes = before ? versionBytes(w.key, before.payload) : 0;
      writes.push({ key: w.key, payload: w.payload, supersedes, supersededBytes, oldEntries });
    });
    return failures.length > 0 ? constraint(failures, request.writes, schema) : { writes, existed };
  }

  #conflict({ basis, writes }: CommitRequest, group: GroupState): TidemarkError | undefined {
    if (!basis) return undefined;
    if (basis.incarnation !== this.#store.fence.incarnation)
      return conflict("what it read is gone from the log", "other");
    if (basis.isolation === "snapshot") {
      const stale = writes.find((w) => (this.#newest(w.key, group)?.seq ?? 0) > basis.seq);
      const isStale = stale ?? (basis.emptied && this.#toucher(basis.emptied, basis.seq, group));
      return isStale === undefined ? undefined : conflict("a key it writes was written after its view", "other");
    }
    const by = this.#toucher(basis.reads, basis.seq, group);
    if (by === undefined) return undefined;
    return conflict("something it read was changed after its view", by === this.#store.tab ? "self" : "other");
  }

  /** Who touched any of these keys after this seq. */
  #toucher(keys: ReadSet, since: Seq, group: GroupState): TabId | "unknown" | undefined {
    const by = this.#store.window.conflict(keys, since);
    return by ?? (group.touched.some((touched) => keys.meets(touched)) ? this.#store.tab : undefined);
  }

  #newest(key: ByteKey, group: GroupState): Version | undefined {
    return group.memtable.newest(key) ?? this.#store.memtable.newest(key) ?? this.#base?.versions.get(key);
  }

  /** The record that already owns a unique index key which `w` claims. */
  #rival(
    w: Write,
    schema: Schema,
    all: readonly Write[],
    own: Map<ByteKey, ByteKey>,
    group: GroupState,
  ): ByteKey | undefined {
    for (const prefix of uniquePrefixes(w, schema)) {
      const mine = byteKey(prefix + w.key.slice(tablePrefixBytes));
      const earlier = own.get(prefix);
      if (earlier !== undefined && earlier !== mine) return earlier;
      own.set(prefix, mine);
      const owner = this.#owners(prefix, group).find((entry) => entry !== mine && !releases(all, entry, w.key));
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  /** Index entries that are there now under a unique index key. */
  #owners(prefix: ByteKey, group: GroupState): readonly ByteKey[] {
    const candidates = new Set(this.#base?.owners.get(prefix));
    const to = prefixEnd(prefix);
    for (const key of this.#store.memtable.keys(prefix, to, false)) candidates.add(key);
    for (const key of group.memtable.keys(prefix, to, false)) candidates.add(key);
    const inBlocks = this.#base?.owners.get(prefix) ?? [];
    return [...candidates].filter((key) => {
      const newer = group.memtable.newest(key) ?? this.#store.memtable.newest(key);
      return newer ? newer.payload !== undefined : inBlocks.includes(key);
    });
  }
}

/** The unique index keys (index table ‖ index key) a write claims. */
function uniquePrefixes(w: Write, { unique }: Schema): readonly ByteKey[] {
  if (w.payload === undefined || unique.size === 0) return [];
  return indexEntriesOf(w.key, w.payload)
    .filter((entry) => unique.has(tableOf(entry)))
    .map((entry) => byteKey(entry.slice(0, keyEnd(entry, tablePrefixBytes))));
}

/** An index that was declared anew, or given up, left its keys in records of before: in its table nothing is ended. */
function liveEntries(entries: readonly ByteKey[], { tables }: Schema): readonly ByteKey[] {
  const isLive = (entry: ByteKey): boolean => tables.has(tableOf(entry));
  return entries.every(isLive) ? entries : entries.filter(isLive);
}

const isLarge = (commits: readonly Commit[]): boolean => {
  let sizeBytes = 0;
  return commits.some(({ tag, writes }) => (sizeBytes += textBytes(tag) + writesBytes(writes)) > maxEntryBytes);
};

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}
