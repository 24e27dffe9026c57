/** What a developer should hear of: told to the `log` of the options, and to nobody where there is none. */
import type { Definition } from "../codec/schema.ts";
import { callBack } from "./report.ts";

export interface LogEntry {
  readonly level: "warn";
  /**
   * VIEW_LEAKED: a read view was not released before it was forgotten; it is now. Until then it held back what it read.
   * DEFINED_TWICE: two handles of one database are open in this realm, and declare different things.
   */
  readonly code: "VIEW_LEAKED" | "DEFINED_TWICE";
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}
export type Log = (entry: LogEntry) => void;

/** Definitions of the handles that are open in this realm, by database. */
const open = new Map<string, Map<object, string>>();

export class Advice {
  readonly #log: Log | undefined;
  readonly #leaks: FinalizationRegistry<Leak> | undefined;

  constructor(log: Log | undefined) {
    this.#log = log;
    if (log && typeof FinalizationRegistry === "function") {
      this.#leaks = new FinalizationRegistry((leak) => this.#leaked(leak));
    }
  }

  /** A handle is opened on a database. Answers what is to be called when it closes. */
  opened(database: string, definition: Definition): () => void {
    const declared = JSON.stringify(definition);
    const others = open.get(database) ?? new Map<object, string>();
    open.set(database, others);
    if ([...others.values()].some((other) => other !== declared)) {
      this.#tell("DEFINED_TWICE", `Database '${database}' is open in this realm with another definition, too`, {
        database,
      });
    }
    const self = {};
    others.set(self, declared);
    return () => {
      others.delete(self);
      if (others.size === 0) open.delete(database);
    };
  }

  /** A view was handed out. `release` must not hold it. Answers what is to be called when it is released. */
  handedOut(view: object, seq: number, release: () => void): () => void {
    if (!this.#leaks) return nothing;
    const token = {};
    this.#leaks.register(view, { seq, release }, token);
    return () => void this.#leaks?.unregister(token);
  }

  #leaked({ seq, release }: Leak): void {
    this.#tell("VIEW_LEAKED", `A read view at seq ${seq} was never released, and held back what it read`, { seq });
    release();
  }

  #tell(code: LogEntry["code"], message: string, details: LogEntry["details"]): void {
    const log = this.#log;
    if (log) callBack(() => log({ level: "warn", code, message, details }));
  }
}

interface Leak {
  readonly seq: number;
  readonly release: () => void;
}
const nothing = (): void => undefined;
