import { type ByteKey, type Seq, seq, type TabId } from "../base/brand.ts";
import type { ReadSet } from "./read-set.ts";

interface Touched {
  readonly seq: Seq;
  readonly origin: TabId;
  readonly keys: readonly ByteKey[];
}

/** So many keys are remembered at most; whoever's view is older than what is left counts as in conflict. */
const maxKeys = 500_000;

/**
 * What recent commits touched, for validating transactions whose views are older than they. Kept from the oldest view
 * that may still ask; what was forgotten is answered with "conflict", which is always safe.
 */
export class CommitWindow {
  #commits: Touched[] = [];
  #keys = 0;
  /** Commits after this one are all remembered. */
  #completeAfter: Seq = seq(0);

  add(at: Seq, origin: TabId, keys: readonly ByteKey[]): void {
    this.#commits.push({ seq: at, origin, keys });
    this.#keys += keys.length;
    if (this.#keys > maxKeys) this.forgetThrough(this.#commits[this.#commits.length >> 1]!.seq);
  }

  /** Nobody's view is older than `at` any more. */
  forgetThrough(at: Seq): void {
    if (at <= this.#completeAfter) return;
    let n = 0;
    while (n < this.#commits.length && this.#commits[n]!.seq <= at) this.#keys -= this.#commits[n++]!.keys.length;
    this.#commits.splice(0, n);
    this.#completeAfter = at;
  }

  /** After a reload nothing up to `at` is known in detail. */
  restart(at: Seq): void {
    this.#commits = [];
    this.#keys = 0;
    this.#completeAfter = at;
  }

  /**
   * Who first touched, after the view at `viewSeq`, what `reads` looked at: an origin, "unknown" where the window does
   * not reach back so far, or `undefined` for nobody.
   */
  conflict(reads: ReadSet, viewSeq: Seq): TabId | "unknown" | undefined {
    if (reads.isEmpty) return undefined;
    if (viewSeq < this.#completeAfter) return "unknown";
    for (const c of this.#commits) if (c.seq > viewSeq && reads.meets(c.keys)) return c.origin;
    return undefined;
  }
}
