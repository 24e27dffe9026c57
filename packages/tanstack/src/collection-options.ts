/**
 * A collection of Tidemark as one of TanStack DB. It holds what a read view held, and then follows every commit behind
 * that, whoever makes it: so nothing is missed and nothing comes twice. Where too much was committed to follow, as after
 * a long sleep, it is read anew.
 *
 * What is changed in it shows at once, as ever; it is written to Tidemark in one transaction, under a tag of its own. By
 * that its echo is known, and only then is the optimistic state let go: there is no moment at which neither is shown.
 */
import type { CollectionConfig, PendingMutation, SyncConfig } from "@tanstack/db";
import {
  type AnyDeclaration,
  type Database,
  type Declarations,
  isTidemarkError,
  type KeyOf,
  type RecordOf,
} from "tidemark";

type Key = string | number;
/** Names of collections whose keys TanStack DB can hold. */
type Keyed<C extends Declarations> = {
  [N in keyof C & string]: KeyOf<C[N]> extends Key ? N : never;
}[keyof C & string];

type Config<D extends AnyDeclaration> = CollectionConfig<RecordOf<D> & object, Key>;

export type TidemarkCollectionOptions<C extends Declarations, N extends Keyed<C>> = Pick<
  Config<C[N]>,
  "id" | "gcTime" | "startSync" | "autoIndex" | "defaultIndexType" | "compare"
> & {
  readonly db: Database<C>;
  /** Its key is one field, a text or a number. */
  readonly collection: N;
};

/** Options for `createCollection`. @throws UNKNOWN_NAME; OPTIONS_INVALID for a collection with a compound key */
export function tidemarkCollectionOptions<C extends Declarations, N extends Keyed<C>>({
  db,
  collection: name,
  ...rest
}: TidemarkCollectionOptions<C, N>): Config<C[N]> {
  type Row = RecordOf<C[N]> & object;
  const stored = db.collection(name);
  const { keyPath } = stored;
  if (typeof keyPath !== "string") {
    throw new TypeError(`Collection '${name}' has a compound key; TanStack DB takes a text or a number`);
  }
  const follower = new Follower<C, N>(db, name);
  const persist = ({ transaction }: { transaction: { mutations: readonly PendingMutation<Row>[] } }): Promise<void> =>
    follower.persist(transaction.mutations);
  return {
    id: `tidemark/${db.name}/${name}`,
    ...rest,
    getKey: (row) => keyIn(row, keyPath),
    sync: { rowUpdateMode: "full", sync: (params) => follower.follow(params) },
    onInsert: persist,
    onUpdate: persist,
    onDelete: persist,
  };
}

const keyIn = (row: object, path: string): Key =>
  path.split(".").reduce<unknown>((found, field) => (found as Record<string, unknown>)[field], row) as Key;

type Sync<C extends Declarations, N extends keyof C & string> = Parameters<
  SyncConfig<RecordOf<C[N]> & object, Key>["sync"]
>[0];

class Follower<C extends Declarations, N extends keyof C & string> {
  readonly #db: Database<C>;
  readonly #name: N;
  /** Runs that follow now: none before the first subscriber, and after the last. */
  readonly #running = new Set<AbortSignal>();
  /** Whoever waits for the echo of his tag. */
  readonly #echoes = new Map<string, () => void>();

  constructor(db: Database<C>, name: N) {
    this.#db = db;
    this.#name = name;
  }

  /** Follows until the answer is called. */
  follow(sync: Sync<C, N>): () => void {
    const ending = new AbortController();
    const { signal } = ending;
    this.#running.add(signal);
    const run = async (): Promise<void> => {
      for (let isAgain = false; ; isAgain = true) {
        try {
          await this.#run(sync, isAgain, signal);
        } catch (e) {
          if (!isTidemarkError(e, "RESYNC_REQUIRED")) throw e;
        }
      }
    };
    run().catch((e: unknown) => {
      this.#end(signal);
      if (!signal.aborted) sync.markError(e);
    });
    return () => {
      this.#end(signal);
      ending.abort(new Error("The collection is not followed any more"));
    };
  }

  /** One transaction of Tidemark; resolves when its echo is in the collection. */
  async persist(mutations: readonly PendingMutation<RecordOf<C[N]> & object>[]): Promise<void> {
    const tag = `tanstack-db/${crypto.randomUUID()}`;
    const echo = new Promise<void>((resolve) => this.#echoes.set(tag, resolve));
    try {
      let isChanging = false;
      await this.#db.transaction(
        async (tx) => {
          const rows = tx.collection(this.#name);
          isChanging = false;
          for (const { type, key, modified } of mutations) {
            if (type === "delete") isChanging = (await rows.delete(key as KeyOf<C[N]>)) || isChanging;
            else {
              await (type === "insert" ? rows.add(modified) : rows.put(modified));
              isChanging = true;
            }
          }
        },
        { tag },
      );
      if (isChanging && this.#running.size > 0) await echo;
    } finally {
      this.#echoes.delete(tag);
    }
  }

  async #run(sync: Sync<C, N>, isAgain: boolean, signal: AbortSignal): Promise<never> {
    const view = await this.#db.readView({ fresh: isAgain });
    const { seq } = view;
    try {
      sync.begin();
      if (isAgain) sync.truncate();
      for await (const row of view.collection(this.#name).where()) {
        signal.throwIfAborted();
        sync.write({ type: "insert", value: row });
      }
      void sync.commit(); // it is taken at once, and shown when what is persisting now has come to its end
    } finally {
      view.release();
    }
    sync.markReady();
    this.#answerAll(); // whatever was written before is among what was read
    for await (const { changes, tag } of this.#db.changes({ after: seq, collections: [this.#name], signal })) {
      sync.begin();
      for (const { cleared, key, before, after } of changes) {
        if (cleared === true) sync.truncate();
        else if (after === undefined) sync.write({ type: "delete", key: key as Key });
        else sync.write({ type: before === undefined ? "insert" : "update", value: after });
      }
      void sync.commit();
      if (tag !== undefined) this.#echoes.get(tag)?.();
    }
    throw signal.reason;
  }

  #end(signal: AbortSignal): void {
    this.#running.delete(signal);
    if (this.#running.size === 0) this.#answerAll();
  }

  /** Nobody will hear an echo any more, or has it already. */
  #answerAll(): void {
    for (const answer of this.#echoes.values()) answer();
  }
}
