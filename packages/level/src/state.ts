import { AbstractSnapshot } from "abstract-level";
import type { View } from "tidemark";
import type { collections, Db, Entries } from "./entries.ts";

/** The state that all calls before have made: it stays readable, as it is, until it is released. */
export class State {
  readonly #view: Promise<View<typeof collections>>;

  constructor(db: Db) {
    this.#view = db.readView();
    this.#view.catch(noop); // told to whoever reads
  }

  async entries(): Promise<Entries> {
    return (await this.#view).collection("entries");
  }

  release(): Promise<void> {
    return this.#view.then((view) => view.release(), noop);
  }
}

// Its types leave out that the constructor takes the options.
const Base = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot;

export class TidemarkSnapshot extends Base {
  readonly state: State;

  constructor(db: Db, options: object) {
    super(options);
    this.state = new State(db);
  }

  _close(): Promise<void> {
    return this.state.release();
  }
}

const noop = (): void => undefined;
