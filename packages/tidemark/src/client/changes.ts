/**
 * The feed of changes on the page. It pulls, about 256 KB at a time: what is not consumed yet waits in the log and not in
 * memory. Where there is nothing it waits until the worker says that there may be; should the worker die, the next one
 * is asked from the last commit that was given out.
 */
import { byteKey } from "../base/brand.ts";
import { decodeKey } from "../codec/key.ts";
import { unpackValues } from "../codec/values.ts";
import type { ChangesAnswer, ChangesRequest, FeedCursor } from "../protocol/changes.ts";
import { Acks } from "./acks.ts";
import { oneAtATime } from "./consumer-lock.ts";
import { checkOptions, isWholeWithin, type OptionChecks, signalCheck } from "../protocol/options.ts";
import type { Session } from "./session.ts";
import { declared } from "./transaction.ts";
import type { Declarations, Key, RecordOf } from "./types.ts";
import { isHarmlessLoss } from "./worker-death.ts";

export interface ChangesOptions<N extends string> {
  /** Begin behind this commit, as with the `seq` of a view. Default: where the consumer left off, or at the head. */
  readonly after?: number;
  /**
   * A name under which the position is kept: the next feed of this name goes on behind the last commit that was
   * acknowledged. Until it is, the database keeps what follows. One feed of a name runs at a time, over all tabs.
   */
  readonly consumer?: string;
  /** Changes of these alone; default: of all that are declared. */
  readonly collections?: readonly N[];
  /** Ends the feed: the iteration throws its reason. */
  readonly signal?: AbortSignal;
}

/** What became of one record, or of a whole collection. */
export type RecordChange<C extends Declarations, N extends keyof C & string = keyof C & string> = {
  [M in N]:
    | {
        readonly collection: M;
        readonly key: Key;
        /** The record before the commit; absent where there was none. */
        readonly before?: RecordOf<C[M]>;
        /** The record after it; absent where it was deleted. */
        readonly after?: RecordOf<C[M]>;
        readonly cleared?: never;
      }
    | {
        /** All its records are gone; those that the same commit wrote to it anew follow. */
        readonly collection: M;
        readonly cleared: true;
        readonly key?: never;
        readonly before?: never;
        readonly after?: never;
      };
}[N];

/** What one commit changed. */
export interface ChangeSet<C extends Declarations, N extends keyof C & string = keyof C & string> {
  readonly seq: number;
  /** When that was: milliseconds since 1970 × 1024, and a counter below 1024. */
  readonly stamp: number;
  /** As the transaction said. */
  readonly tag?: string;
  /** One for each record that it wrote. All of a commit come together, so they are in memory together. */
  readonly changes: readonly RecordChange<C, N>[];
  /**
   * This and all before it is dealt with. Resolves when that is stored; may be called often, and in any order. Does
   * nothing for a feed without a consumer. @throws RESYNC_REQUIRED where the consumer was evicted
   */
  ack(): Promise<void>;
}

const maxBytes = 256 * 1024;
/** A consumer that is shown nothing is moved on when it is so many commits behind. */
const maxUnseen = 64;

const checks: OptionChecks<ChangesOptions<string>> = {
  after: [isWholeWithin(0, Number.MAX_SAFE_INTEGER), "the seq of a commit or a view"],
  consumer: [(v) => typeof v === "string" && v !== "", "a string that is not empty"],
  collections: [Array.isArray, "a list of names of collections"],
  signal: signalCheck,
};

/** @throws OPTIONS_INVALID, UNKNOWN_NAME */
export function checkChanges(collections: Declarations, options: ChangesOptions<string>): void {
  checkOptions("changes()", options, checks);
  for (const name of options.collections ?? []) declared(collections, name);
}

/** A feed that ends with `signal`, which has to be the feed's own. */
export async function* changesOf<C extends Declarations, N extends keyof C & string>(
  session: Session,
  collections: readonly N[],
  options: ChangesOptions<N>,
): AsyncGenerator<ChangeSet<C, N>, void> {
  const ending = new AbortController();
  const abort = (): void => ending.abort(options.signal?.reason);
  const end = (error: unknown): void => ending.abort(error);
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener("abort", abort);
  session.endings.add(end);
  let release: (() => void) | undefined;
  const feed = new Feed<C, N>(session, collections, options, ending.signal);
  try {
    ending.signal.throwIfAborted();
    if (session.refusal) throw session.refusal;
    const { consumer } = options;
    if (consumer !== undefined) {
      const registered = feed.register();
      registered.catch(() => undefined); // awaited below
      release = await oneAtATime(session.options.name, consumer, ending.signal, session.options.locks);
      await registered;
    }
    yield* feed.run();
  } finally {
    feed.end();
    session.endings.delete(end);
    options.signal?.removeEventListener("abort", abort);
    release?.();
  }
}

class Feed<C extends Declarations, N extends keyof C & string> {
  readonly #session: Session;
  readonly #collections: readonly N[];
  readonly #options: ChangesOptions<N>;
  readonly #signal: AbortSignal;
  readonly #id: number;
  #acks: Acks | undefined;
  /** The last commit that was given out. */
  #given = 0;
  #wake: () => void = () => undefined;

  constructor(session: Session, collections: readonly N[], options: ChangesOptions<N>, signal: AbortSignal) {
    this.#session = session;
    this.#collections = collections;
    this.#options = options;
    this.#signal = signal;
    this.#id = session.newHandle();
  }

  /** A consumer begins where it was called for, though it may have to wait for its turn. */
  async register(): Promise<void> {
    const { consumer, after } = this.#options;
    if (after === undefined) await this.#call<"changes-open">({ op: "changes-open", consumer, after });
  }

  async *run(): AsyncGenerator<ChangeSet<C, N>, void> {
    const { consumer, after } = this.#options;
    let cursor: FeedCursor = await this.#call<"changes-open">({ op: "changes-open", consumer, after });
    this.#signal.throwIfAborted(); // nobody listened until now
    this.#given = cursor.position;
    this.#signal.addEventListener("abort", () => this.#wake());
    this.#acks = new Acks(cursor.position, (position) => this.#acknowledge(position));
    for (;;) {
      const news = this.#news();
      const answer: ChangesAnswer = await this.#call<"changes">({
        op: "changes",
        feed: this.#id,
        consumer,
        cursor,
        collections: this.#collections,
        maxBytes,
      });
      cursor = answer.cursor;
      yield* this.#changesIn(answer);
      await this.#skipTo(cursor.position);
      if (answer.isHead && answer.commits.length === 0) await news;
      this.#signal.throwIfAborted();
    }
  }

  end(): void {
    this.#session.watchers.delete(this.#id);
    if (this.#acks === undefined || this.#session.refusal) return;
    this.#session.enter((c) => c.call<"changes-end">({ op: "changes-end", feed: this.#id })).catch(() => undefined);
  }

  /** Resolves when there may be something new, or the feed ends. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#session.watchers.set(this.#id, () => this.#wake());
    });
  }

  *#changesIn({ commits, values }: ChangesAnswer): Generator<ChangeSet<C, N>, void> {
    const records = unpackValues(values);
    let next = 0;
    for (const { seq, stamp, tag, changes } of commits) {
      const all = changes.map(({ collection, key }) => {
        if (key === undefined) return { collection, cleared: true };
        const [before, after] = [records[next++], records[next++]];
        const old = before === undefined ? {} : { before };
        return { collection, key: decodeKey(byteKey(key)), ...old, ...(after === undefined ? {} : { after }) };
      }) as RecordChange<C, N>[];
      this.#signal.throwIfAborted();
      this.#given = seq;
      const ack = (): Promise<void> => this.#ack(seq);
      yield { seq, stamp, ...(tag === "" ? {} : { tag }), changes: all, ack };
    }
  }

  async #ack(seq: number): Promise<void> {
    if (this.#options.consumer !== undefined) await this.#acks!.upTo(seq);
  }

  /** What had nothing for the consumer is not kept for it, as soon as it has dealt with what it was given. */
  async #skipTo(position: number): Promise<void> {
    const acks = this.#acks!;
    if (acks.position >= this.#given && position - acks.position >= maxUnseen) await this.#ack(position);
  }

  async #acknowledge(position: number): Promise<void> {
    const { consumer } = this.#options;
    const { durability } = this.#session.options;
    await this.#call<"changes-ack">({ op: "changes-ack", consumer: consumer!, position, durability });
  }

  /** Tried once more where the worker died of something else. */
  async #call<Op extends ChangesRequest["op"]>(
    request: Extract<ChangesRequest, { op: Op }>,
  ): Promise<ChangesReply<Op>> {
    const call = (): Promise<unknown> => this.#session.enter((c) => c.call<Op>(request as never));
    try {
      return (await call()) as ChangesReply<Op>;
    } catch (e) {
      if (!isHarmlessLoss(e)) throw this.#signal.aborted ? this.#signal.reason : e;
      return (await call()) as ChangesReply<Op>;
    }
  }
}

type ChangesReply<Op extends ChangesRequest["op"]> = {
  "changes-open": FeedCursor;
  changes: ChangesAnswer;
  "changes-ack": void;
  "changes-end": void;
}[Op];
