import { countBelow } from "../base/ascending.ts";
import type { Seq, TableId } from "../base/brand.ts";
import { type Cell, type Figures, firstSpanned, inOrder, tidied } from "./ledger-cells.ts";

/**
 * What the log after the fence superseded, in its order, each as it was: a few numbers beside what the memtable holds
 * of the same write. The sums up to each make any stretch of seqs a matter of two look-ups.
 */
export class LedgerTail {
  #c: Seq[] = [];
  #n: Seq[] = [];
  #table: TableId[] = [];
  /** Of all up to and including this one. */
  #versions: number[] = [];
  #bytes: number[] = [];

  get length(): number {
    return this.#n.length;
  }

  add(c: Seq, n: Seq, bytes: number, table: TableId): void {
    const last = this.#n.length - 1;
    if (last >= 0 && this.#n[last] === n && this.#c[last] === c && this.#table[last] === table) {
      this.#versions[last]!++;
      this.#bytes[last]! += bytes;
      return;
    }
    this.#c.push(c);
    this.#n.push(n);
    this.#table.push(table);
    this.#versions.push((last < 0 ? 0 : this.#versions[last]!) + 1);
    this.#bytes.push((last < 0 ? 0 : this.#bytes[last]!) + bytes);
  }

  /** Those with from < n ≤ to. */
  between(from: Seq, to: Seq): Figures {
    const start = countBelow(this.#n, from + 1);
    return this.#sum(start, Math.max(start, countBelow(this.#n, to + 1)));
  }

  /** Of those with from < n ≤ to, the ones that `counts` takes by their c and n. */
  where(from: Seq, to: Seq, counts: (c: Seq, n: Seq) => boolean): Figures {
    const figures = { versions: 0, bytes: 0 };
    for (let i = countBelow(this.#n, from + 1); i < this.#n.length && this.#n[i]! <= to; i++) {
      if (!counts(this.#c[i]!, this.#n[i]!)) continue;
      const { versions, bytes } = this.#sum(i, i + 1);
      figures.versions += versions;
      figures.bytes += bytes;
    }
    return figures;
  }

  /** Tells them all to `take`, in their order. */
  forEach(take: (table: TableId, figures: Figures) => void): void {
    for (let i = 0; i < this.#n.length; i++) take(this.#table[i]!, this.#sum(i, i + 1));
  }

  /** Those with n ≤ at, as cells of a histogram. */
  cellsThrough(at: Seq, points: readonly Seq[]): Cell[] {
    const end = countBelow(this.#n, at + 1);
    const cells: Cell[] = [];
    for (let i = 0; i < end;) {
      const n = this.#n[i]!;
      const start = i;
      while (i < end && this.#n[i] === n) i++;
      const ofOne: Cell[] = [];
      for (let j = start; j < i; j++) {
        const first = firstSpanned(points, this.#c[j]!, n);
        ofOne.push({ from: n, to: n, table: this.#table[j]!, first, ...this.#sum(j, j + 1) });
      }
      if (ofOne.length === 1) cells.push(ofOne[0]!);
      else for (const cell of tidied(ofOne.sort(inOrder))) cells.push(cell);
    }
    return cells;
  }

  dropThrough(at: Seq): void {
    const end = countBelow(this.#n, at + 1);
    if (end === 0) return;
    const gone = this.#sum(0, end);
    this.#c = this.#c.slice(end);
    this.#n = this.#n.slice(end);
    this.#table = this.#table.slice(end);
    this.#versions = this.#versions.slice(end).map((v) => v - gone.versions);
    this.#bytes = this.#bytes.slice(end).map((b) => b - gone.bytes);
  }

  #sum(start: number, end: number): Figures {
    if (start >= end) return { versions: 0, bytes: 0 };
    const versions = this.#versions[end - 1]! - (start === 0 ? 0 : this.#versions[start - 1]!);
    const bytes = this.#bytes[end - 1]! - (start === 0 ? 0 : this.#bytes[start - 1]!);
    return { versions, bytes };
  }
}
