/**
 * A tab whose program is older than the records are now, since a newer one migrated them: it goes on reading at the last
 * seq before that, by the schema of then, until its page is reloaded. A view that stays open holds that state, so its pin
 * does not rise above it; whom that holds back too much evicts it, as any other.
 */
import { type Seq, seq } from "../base/brand.ts";
import type { Catalog } from "../codec/schema.ts";
import type { Handles } from "../mvcc/handles.ts";
import type { Schema } from "../mvcc/schema.ts";

const retiredHandle = Number.MIN_SAFE_INTEGER + 2;

export interface ReadsAt {
  readonly schema: Schema;
  readonly at?: Seq;
}

export class Retirement {
  readonly #handles: Handles;
  /** Of this tab's program. */
  version: number = Infinity;
  #reads: ReadsAt | undefined;

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** What is read from now on, where that is not the head. */
  get reads(): ReadsAt | undefined {
    return this.#reads;
  }

  /** The catalog becomes another one; before, `last` was in force, up to `before`. */
  consider({ migrated = 0 }: Catalog, last: Schema, before: number): void {
    if (this.#reads || migrated <= this.version) return;
    this.#reads = { schema: last, at: seq(before) };
    this.#handles.open(retiredHandle, { tracked: false, isolation: "snapshot", ...this.#reads });
  }
}
