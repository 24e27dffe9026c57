/** What a handle can tell about itself without asking its worker. */
import type { TidemarkError } from "../base/errors.ts";
import type { LogEntry } from "./advice.ts";

/** A live query that somebody subscribes to. */
export interface LiveDiagnostics {
  /** What it reads, as far as that has a name, or the beginning of its source text. */
  readonly query: string;
  readonly subscribers: number;
  /** Since its first subscriber came. Each run is one state read; of its results those that differ are told. */
  readonly runs: number;
  readonly told: number;
  readonly isRunning: boolean;
  /** Of the last run that ended, from its beginning to its result; absent before that. */
  readonly lastRunMs?: number;
}

/** What was told to `on("error" | "outdated" | "closed")` and to the `log` of the options, whether or not anybody listened. */
export interface Reported {
  /** In ms since 1970. */
  readonly at: number;
  readonly event: "error" | "outdated" | "closed" | "log";
  readonly code: string;
  readonly message: string;
}

export interface Diagnostics {
  /** Live queries of this handle, oldest first. */
  readonly live: readonly LiveDiagnostics[];
  /** The last 50, oldest first. */
  readonly reported: readonly Reported[];
}

const maxReported = 50;
const maxQueryLength = 200;

/** Kept by the handle: costs a count per run of a live query. */
export class Diary {
  readonly live: Set<() => LiveDiagnostics> = new Set();
  readonly #reported: Reported[] = [];

  error({ code, message }: TidemarkError): void {
    this.#note("error", code, message);
  }
  outdated(reason: string): void {
    this.#note("outdated", reason, `A newer program changed the ${reason}`);
  }
  closed(reason: string): void {
    this.#note("closed", reason, `The database ended: ${reason}`);
  }
  log({ code, message }: LogEntry): void {
    this.#note("log", code, message);
  }

  told(): Diagnostics {
    return { live: Array.from(this.live, (tell) => tell()), reported: [...this.#reported] };
  }

  #note(event: Reported["event"], code: string, message: string): void {
    if (this.#reported.length === maxReported) this.#reported.shift();
    this.#reported.push({ at: Date.now(), event, code, message });
  }
}

/** A query as a line to recognise it by. */
export const queryText = (query: string | ((...args: never[]) => unknown)): string =>
  typeof query === "string" ? query : String(query).replaceAll(/\s+/g, " ").slice(0, maxQueryLength);
