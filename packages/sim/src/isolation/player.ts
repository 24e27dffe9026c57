/** Plays one transaction of a script on a database, in a page or in a world. */
import type { Collection, CollectionDeclaration, Database, TransactionOptions } from "tidemark";
import {
  type Action,
  type Answer,
  answerOf,
  answerOfRange,
  type Ended,
  isRead,
  type Item,
  type Read,
  type Write,
} from "./script.ts";

export const indexes = { n: "n", slug: { path: "slug", unique: true } } as const;
export type Items = CollectionDeclaration<Item, "id", typeof indexes>;
export type Db = Pick<Database<{ items: Items }>, "transaction">;
export type Isolation = NonNullable<TransactionOptions["isolation"]>;

class RolledBack extends Error {}

export class Player {
  readonly #db: Db;
  readonly #isolation: Isolation;
  /** All that its body does. */
  readonly #actions: Action[] = [];
  #end: "commit" | "rollback" | undefined;
  #answers: Answer[] = [];
  #runs = 0;
  #ended: Promise<Ended> | undefined;
  /** Wakes the body, which waits for its next action. */
  #wake: () => void = () => undefined;
  /** Told when the body has done all actions there are. */
  #rested: () => void = () => undefined;

  constructor(db: Db, isolation: Isolation) {
    this.#db = db;
    this.#isolation = isolation;
  }

  /** Resolves when it is done, or the transaction has ended over it. */
  async act(action: Action): Promise<void> {
    this.#actions.push(action);
    const rested = new Promise<void>((resolve) => (this.#rested = resolve));
    this.#ended ??= this.#run();
    this.#wake();
    await Promise.race([rested, this.#ended]);
  }

  /** Lets the body end; if it runs again, then without waiting for anybody. */
  end(how: "commit" | "rollback"): Promise<Ended> {
    this.#end = how;
    this.#ended ??= this.#run();
    this.#wake();
    return this.#ended;
  }

  async #run(): Promise<Ended> {
    const codeOf = (e: unknown): string => (e instanceof RolledBack ? "rolled back" : (e as { code: string }).code);
    const failed = await this.#db
      .transaction((tx) => this.#body(tx.collection("items")), { isolation: this.#isolation })
      .then(() => ({}))
      .catch((e: unknown) => ({ failed: codeOf(e) }));
    return { answers: this.#answers, runs: this.#runs, ...failed };
  }

  async #body(items: Collection<Items>): Promise<void> {
    this.#runs++;
    this.#answers = [];
    for (let at = 0; ; at++) {
      while (at === this.#actions.length && this.#end === undefined) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        this.#rested();
        await woken;
      }
      const action = this.#actions[at];
      if (!action) break;
      if (isRead(action)) this.#answers.push(await read(items, action));
      else await write(items, action);
    }
    if (this.#end === "rollback") throw new RolledBack("as the script says");
  }
}

async function read(items: Collection<Items>, action: Read): Promise<Answer> {
  if (action.do === "get") return answerOf(await items.get(action.id));
  return answerOfRange(await items.where("n").between(action.from, action.to).toArray());
}

function write(items: Collection<Items>, action: Write): Promise<unknown> {
  switch (action.do) {
    case "put":
      return items.put(action.item);
    case "add":
      return items.add(action.item);
    case "delete":
      return items.delete(action.id);
    case "clear":
      return items.clear();
    case "deleteRange":
      return items.where("n").between(action.from, action.to).delete();
    default:
      return items
        .where("n")
        .between(action.from, action.to)
        .update((item) => ({ ...item, n: item.n + action.by }));
  }
}
