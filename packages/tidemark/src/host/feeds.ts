/**
 * The feed of changes: what each commit changed, read from the log, in its order.
 *
 * A feed reads on behind the entry that it read last, by the chain of checksums, in what is kept below the fence or behind
 * it. The records before a commit are those that a view just below it sees. Both are there as long as the position is
 * within reach (mvcc/consumers.ts), and that only ever ends: so it is looked at again when all is read, and an answer
 * that could be made of what was gone meanwhile is never given.
 */
import { type ByteKey, byteKey, type Seq, seq } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import { optional, text, whole } from "../codec/form.ts";
import { recordValue, tableOf, tablePrefixBytes } from "../codec/record.ts";
import type { Catalog } from "../codec/schema.ts";
import { packValues } from "../codec/values.ts";
import { acknowledge, openConsumer, reachIn, readConsumer, readReach, resyncRequired } from "../mvcc/consumers.ts";
import { buildWriteIn } from "../mvcc/build-state.ts";
import { Reader } from "../mvcc/reader.ts";
import { wholeEntries } from "../mvcc/recovery.ts";
import { catalogAt, catalogKey, decodeCatalog } from "../mvcc/schema.ts";
import type { Store } from "../mvcc/store.ts";
import type { ChangeAnswer, ChangesAnswer, ChangesRequest, CommitChanges, FeedCursor } from "../protocol/changes.ts";
import { valueOf } from "../storage/contract.ts";
import { loadOutside } from "../wal/chunks.ts";
import type { Commit, LogEntry } from "../wal/entry.ts";
import { entryIn, firstAppended, firstKept, keptIn, keptKey, readKept, seqOfKept } from "../wal/kept.ts";
import { decodeFence, readFence } from "../wal/log.ts";
import { invalidOption } from "./failure.ts";
import { outsideIn } from "../codec/outside.ts";

type Of<Op extends ChangesRequest["op"]> = Extract<ChangesRequest, { op: Op }>;

/** So many entries are read at a time, of 56 KB at most: few at first, and more where they are small. */
const [minAtOnce, maxAtOnce] = [4, 64];
const smallBytes = 64 * 1024;
/** More commits than one entry can hold, which is 56 KB: the least takes some eleven bytes. */
const maxGroup = 8192;
/** So often a feed begins anew because the log was folded, or struck, under it. */
const maxBeginnings = 10;

/** An entry that was read, as the next one continues it; where nothing was, no checksum. */
interface Place {
  readonly seq: number;
  readonly checksum: number | undefined;
}

export class Feeds {
  readonly #store: Store;
  readonly #notify: (feeds: readonly number[]) => void;
  readonly #waiting = new Set<number>();

  constructor(store: Store, notify: (feeds: readonly number[]) => void) {
    this.#store = store;
    this.#notify = notify;
  }

  /** How many wait for news. */
  get size(): number {
    return this.#waiting.size;
  }

  /** The head moved. */
  advanced(): void {
    if (this.#waiting.size === 0) return;
    const feeds = [...this.#waiting];
    this.#waiting.clear();
    this.#notify(feeds);
  }

  end(feed: number): void {
    this.#waiting.delete(feed);
  }

  /** @throws RESYNC_REQUIRED, OPTIONS_INVALID */
  async open({ consumer, after }: Of<"changes-open">): Promise<FeedCursor> {
    if (!optional(text)(consumer)) throw invalidOption("consumer", "a name");
    if (!optional(whole)(after)) throw invalidOption("after", "the seq of a commit");
    const { storage } = this.#store;
    for (let attempt = 0; ; attempt++) {
      await this.#store.follow();
      const { head, fence } = this.#store;
      if (after !== undefined && after > head.seq) throw beyondHead(after, head.seq);
      if (consumer === undefined) return { position: after ?? head.seq };
      try {
        const from = after === undefined ? undefined : seq(after);
        return { position: await openConsumer(storage, consumer, from, head.seq, fence) };
      } catch (e) {
        if (!(e instanceof TidemarkError) || e.code !== "BUSY" || attempt >= maxBeginnings) throw e;
      }
    }
  }

  /** Tells whether some of the log was kept for it. @throws RESYNC_REQUIRED, OPTIONS_INVALID */
  async acknowledge({ consumer, position, durability }: Of<"changes-ack">): Promise<boolean> {
    if (!whole(position)) throw invalidOption("position", "the seq of a commit"); // it is stored
    // Another tab may have been told of it before we were.
    if (position > this.#store.head.seq) await this.#store.follow();
    const { storage, head } = this.#store;
    return acknowledge(storage, consumer, seq(Math.min(position, head.seq)), durability);
  }

  /** What follows the cursor. @throws RESYNC_REQUIRED where some of that is gone */
  async read(request: Of<"changes">): Promise<ChangesAnswer> {
    const { feed, consumer, cursor } = request;
    const { seq: upTo } = this.#store.head;
    await this.#look(consumer, cursor.position);
    if (cursor.position >= upTo) return this.#wait(feed, cursor);
    let answer: ChangesAnswer;
    try {
      answer = await this.#gather(request, upTo);
    } catch (e) {
      await this.#look(consumer, cursor.position); // what is gone is no damage
      throw e;
    }
    await this.#look(consumer, cursor.position);
    const isIdle = answer.commits.length === 0 && answer.isHead;
    return isIdle ? this.#wait(feed, answer.cursor) : answer;
  }

  #wait(feed: number, cursor: FeedCursor): ChangesAnswer {
    const isHead = cursor.position >= this.#store.head.seq;
    if (isHead) this.#waiting.add(feed);
    return { commits: [], values: packValues([]), cursor, isHead };
  }

  /** @throws RESYNC_REQUIRED unless all behind `position` is there */
  async #look(consumer: string | undefined, position: number): Promise<void> {
    const own = consumer === undefined ? [] : [readConsumer(consumer)];
    const found = await this.#store.storage.read([...readReach, ...own]);
    const from = reachIn([...found])?.from ?? 0;
    const isEvicted = consumer !== undefined && valueOf(found[readReach.length]) === undefined;
    if (isEvicted || position < from) throw resyncRequired(consumer, position, from);
  }

  async #gather({ consumer, cursor, collections, maxBytes }: Of<"changes">, upTo: Seq): Promise<ChangesAnswer> {
    const gathering = await Gathering.at(this.#store, seq(cursor.position), collections && new Set(collections));
    let place: Place = cursor.entry ?? (await this.#placeOf(consumer, cursor.position));
    let isFull = false;
    let atOnce = minAtOnce;
    let moves = 0;
    while (!isFull && gathering.position < upTo) {
      const entries = await this.#entriesAfter(place, atOnce);
      if (entries.length === 0 && place.seq < gathering.position && ++moves < maxBeginnings) {
        // Upkeep dropped what lay between, which nobody needs, and moved what follows, while we looked.
        place = await this.#placeOf(consumer, gathering.position);
        continue;
      }
      const isSmall = entries.reduce((n, e) => n + e.sizeBytes, 0) < smallBytes;
      atOnce = isSmall ? Math.min(maxAtOnce, atOnce * 4) : minAtOnce;
      if (entries.length === 0) throw resyncRequired(consumer, gathering.position, upTo);
      for (const entry of entries) {
        if (entry.lastSeq > upTo) {
          isFull = true;
          break;
        }
        if (entry.lastSeq > gathering.position) {
          const [filled] = (await wholeEntries(this.#store.storage, [entry])) ?? [];
          if (!filled) throw new TidemarkError("CORRUPT", "The changes of a commit are damaged", { what: "log" });
          isFull = await gathering.take(filled, maxBytes);
        }
        if (gathering.position < entry.lastSeq) break; // the rest of it goes with the next answer
        place = ends(entry);
        if (isFull) break;
      }
    }
    const entry = place.checksum === undefined ? undefined : { seq: place.seq, checksum: place.checksum };
    const isHead = gathering.position >= this.#store.head.seq;
    return { ...(await gathering.packed()), cursor: { position: gathering.position, entry }, isHead };
  }

  /** The entries that follow, one after the other. */
  async #entriesAfter(place: Place, limit: number): Promise<readonly LogEntry[]> {
    const [kept, appended] = await this.#store.storage.read([
      firstKept(place.seq, limit),
      firstAppended(place.seq, limit),
    ]);
    const entries: LogEntry[] = [];
    let last = place;
    for (const { value } of [...kept!, ...appended!]) {
      const entry = entryIn(value);
      if (!entry || entry.firstSeq <= last.seq) continue; // void
      if (entry.firstSeq !== last.seq + 1) break;
      if (last.checksum !== undefined && entry.previous !== last.checksum) break;
      entries.push(entry);
      last = ends(entry);
    }
    return entries;
  }

  /** Where to begin for what follows `position`: at the kept entry that it lies in, or where entries are as appended. */
  async #placeOf(consumer: string | undefined, position: number): Promise<Place> {
    const range = { from: keptKey(Math.max(1, position + 1 - maxGroup)), to: keptKey(position + 1) };
    const [fenceRow, keptRow, keys] = await this.#store.storage.read([
      readFence,
      readKept,
      { kind: "keys", store: "log", range },
    ]);
    const kept = keptIn(keptRow);
    const bytes = valueOf(fenceRow);
    if (!bytes) throw new TidemarkError("CLOSED", "This database was deleted", { reason: "deleted" });
    const { seq: at, checksum } = kept?.to ?? decodeFence(bytes);
    // Of what this tab has applied, it knows where each ends.
    const end = this.#store.endBefore(position);
    if (end.seq <= position && end.seq >= at) return end;
    if (position >= at) return { seq: at, checksum };
    const key = keys?.at(-1)?.key;
    if (key === undefined) throw resyncRequired(consumer, position, at);
    return { seq: seqOfKept(key as number) - 1, checksum: undefined };
  }
}

const ends = ({ lastSeq, checksum }: LogEntry): Place => ({ seq: lastSeq, checksum });

const beyondHead = (after: number, head: number): TidemarkError =>
  new TidemarkError("OPTIONS_INVALID", `changes({ after: ${after} }) lies beyond the last commit, ${head}`, {
    option: "after",
    head,
  });

/** Its records became others one by one, in a place of their own: the log tells nothing of that. */
const migrated = (collection: string, position: number): TidemarkError =>
  new TidemarkError(
    "RESYNC_REQUIRED",
    `The records of '${collection}' were migrated behind ${position}. Read everything in a view, await db.readView({ fresh: true }), and go on from there with { after: view.seq }`,
    { collection, position },
  );

/** Commits as they become an answer. */
class Gathering {
  readonly #store: Store;
  readonly #reader: Reader;
  readonly #wanted: ReadonlySet<string> | undefined;
  readonly #commits: CommitChanges[] = [];
  readonly #values: (Uint8Array | undefined)[] = [];
  #catalog: Catalog;
  #sizeBytes = 0;
  position: Seq;

  private constructor(store: Store, reader: Reader, position: Seq, catalog: Catalog, wanted?: ReadonlySet<string>) {
    this.#store = store;
    this.#reader = reader;
    this.#wanted = wanted;
    this.#catalog = catalog;
    this.position = position;
  }

  static async at(store: Store, position: Seq, wanted: ReadonlySet<string> | undefined): Promise<Gathering> {
    const reader = new Reader(store);
    return new Gathering(store, reader, position, await catalogAt(reader, position), wanted);
  }

  /** The commits of an entry that lie behind the position; answers whether that is enough. */
  async take({ commits }: LogEntry, maxBytes: number): Promise<boolean> {
    for (const commit of commits) {
      if (commit.seq <= this.position) continue;
      if (this.#sizeBytes >= maxBytes) return true;
      await this.#takeOne(commit);
      this.position = commit.seq;
    }
    return this.#sizeBytes >= maxBytes;
  }

  async #takeOne(commit: Commit): Promise<void> {
    if (buildWriteIn(commit)) return; // of a new index: no record changed
    const { seq: at, stamp, tag, writes } = commit;
    const before = this.#catalog;
    const edit = writes.find((w) => w.key === catalogKey);
    if (edit) this.#catalog = decodeCatalog(edit.payload);
    const changes: ChangeAnswer[] = edit ? this.#cleared(before) : [];
    const names = this.#names();
    const wanted = writes.filter((w) => names.has(tableOf(w.key)));
    const former = wanted.filter((w) => w.supersedes !== 0);
    const versions = await this.#reader.getMany(
      former.map((w) => w.key),
      seq(at - 1),
    );
    const old = new Map<ByteKey, Uint8Array | undefined>(former.map((w, i) => [w.key, versions[i]?.payload]));
    for (const { key, payload } of wanted) {
      const was = old.get(key);
      if (!was && !payload) continue; // it never was there
      changes.push({ collection: names.get(tableOf(key))!, key: byteKey(key.slice(tablePrefixBytes)) });
      for (const one of [was, payload]) this.#values.push(this.#counted(one && recordValue(one)));
    }
    if (changes.length > 0) this.#commits.push({ seq: at, stamp, tag, changes });
  }

  #counted(value: Uint8Array | undefined): Uint8Array | undefined {
    this.#sizeBytes += 32 + (value ? (outsideIn(value)?.sizeBytes ?? value.length) : 0);
    return value;
  }

  #isWanted(collection: string): boolean {
    return this.#wanted?.has(collection) ?? true;
  }

  #names(): ReadonlyMap<number, string> {
    const entries = Object.entries(this.#catalog.collections);
    return new Map(entries.flatMap(([name, { table }]) => (this.#isWanted(name) ? [[table, name] as const] : [])));
  }

  /** Collections whose records of before are all gone: cleared, or dropped. @throws RESYNC_REQUIRED for migrated ones */
  #cleared(before: Catalog): ChangeAnswer[] {
    const { moving } = before;
    const into = moving && this.#catalog.collections[moving.collection];
    if (moving && into?.table === moving.into.table && this.#isWanted(moving.collection)) {
      throw migrated(moving.collection, this.position);
    }
    return Object.entries(before.collections).flatMap(([collection, { table }]) => {
      const now = Object.hasOwn(this.#catalog.collections, collection) && this.#catalog.collections[collection];
      const isSame = now && now.table === table;
      return isSame || !this.#isWanted(collection) ? [] : [{ collection, key: undefined }];
    });
  }

  async packed(): Promise<Pick<ChangesAnswer, "commits" | "values">> {
    const values = await loadOutside(this.#store.storage, this.#values);
    return { commits: this.#commits, values: packValues(values) };
  }
}
