/**
 * What garbage there is: every version that a newer one superseded at n and that is still stored, counted, never listed.
 *
 *   base    as of the fence: a histogram of bounded size (ledger-cells.ts), stored with the manifest that it is about
 *   tail    what the log after the fence superseded, as it was (ledger-tail.ts)
 *
 * All of it follows from the log and from what merges dropped. A publish under fence C stores the base with the tail up
 * to C taken in and its drops taken out, in its swap. So whoever reads the state has the figures with it.
 *
 * Nobody asks when something was superseded that is at or below the floor: that only counts as such.
 *
 * Not counted are tombstones, which a merge may drop without knowing what superseded them; versions of system table 0;
 * and what is in dead tables, since that goes unread. When an index entry was made is not known from the log: those count
 * as if they had always been there (`unknownSeq`), so as kept by every point below n.
 */
import { type Seq, seq, type TableId, tableId } from "../base/brand.ts";
import type { StoredValue } from "../storage/contract.ts";
import { openRow, sealRow } from "../wal/row.ts";
import {
  asPoints,
  bucketOf,
  type Cell,
  type Figures,
  firstSpanned,
  inOrder,
  joined,
  lastBelow,
  noPoint,
  nothing,
  plus,
  settled,
  tidied,
} from "./ledger-cells.ts";
import { LedgerTail } from "./ledger-tail.ts";

export type { Figures } from "./ledger-cells.ts";

/** Of its row in store `meta`. */
export const ledgerKey = "ledger";

/** The c of a version of which it is not known. */
export const unknownSeq: Seq = seq(0);

/** What was superseded, by table. */
export interface PerTable {
  readonly tables: ReadonlyMap<TableId, Figures>;
  /** As the ledger's own: otherwise some may be missing, or be counted although they are gone. */
  readonly isExact: boolean;
}

const forever = seq(Number.MAX_SAFE_INTEGER);

export class GarbageLedger {
  /** The fence that the base is as of. */
  #asOf: Seq = seq(0);
  #cells: Cell[] = [];
  #points: readonly Seq[] = [];
  /** Whether cells may span other points than they say. */
  #isBlurred = false;
  /** What was superseded up to here may be missing, or be counted although it is gone. */
  #unknownThrough: Seq = seq(0);
  readonly #tail = new LedgerTail();
  /** Seqs after the fence at which something was superseded that is not known. */
  #unknown: Seq[] = [];

  /** Of a database whose garbage up to `asOf` nobody counted. */
  static unknownAt(asOf: Seq): GarbageLedger {
    const ledger = new GarbageLedger();
    ledger.#asOf = asOf;
    ledger.#unknownThrough = asOf;
    return ledger;
  }

  get asOf(): Seq {
    return this.#asOf;
  }
  /** Whether all figures are complete. Those of stretches above `unknownThrough` are, in any case. */
  get isExact(): boolean {
    return this.unknownThrough === 0;
  }
  get unknownThrough(): Seq {
    return this.#unknown.at(-1) ?? this.#unknownThrough;
  }
  /** Whether what it says about single points is complete, too: a point may have come that lies below the fence. */
  get knowsSpans(): boolean {
    return !this.#isBlurred;
  }
  /** The points told last. */
  get told(): readonly Seq[] {
    return this.#points;
  }

  /** The commit at n superseded a version of c. In the order of the log. */
  supersede(c: Seq, n: Seq, bytes: number, table: TableId): void {
    this.#tail.add(c, n, bytes, table);
  }

  /** The commit at n superseded something, and nobody can say what. */
  supersedeUnknown(n: Seq): void {
    if (this.#unknown.at(-1) !== n) this.#unknown.push(n);
  }

  /** Of the base, a version is stored no longer; n, at or below the floor, is what follows it in its chain by now. */
  drop(c: Seq, n: Seq, bytes: number, table: TableId): void {
    const cell = this.#cellWith(c, n, bytes, table);
    if (cell) {
      cell.versions--;
      cell.bytes -= bytes;
    } else if (n > this.#unknownThrough) {
      this.#unknownThrough = n; // it never was counted: others may not have been, either
    }
  }

  /** Of the base, what is in these tables counts no longer. */
  forget(isDead: (table: TableId) => boolean): void {
    this.#cells = this.#cells.filter(({ table }) => !isDead(table));
  }

  /** The set of points is this one now. */
  points(points: readonly Seq[]): void {
    const next = asPoints(points);
    const known = new Set(this.#points);
    if (next.length === known.size && next.every((p) => known.has(p))) return;
    const newest = this.#cells.at(-1)?.to ?? noPoint;
    if (next.some((p) => !known.has(p) && p < newest)) this.#isBlurred = true;
    if (next.length === 0) this.#isBlurred = false;
    this.#points = next;
    const cells = this.#cells.map((c) =>
      c.first === noPoint ? c : { ...c, first: firstSpanned(next, c.first, c.to) },
    );
    this.#cells = tidied(cells.sort(inOrder));
  }

  /** Superseded versions with from < n ≤ to; `from` is at or above the floor of the last publish, or 0. */
  between(from: Seq, to: Seq): Figures {
    return plus(
      this.#counted((c) => from < c.to && c.to <= to),
      this.#tail.between(from, to),
    );
  }

  /** What may not go as long as somebody may read at any seq from `holder` on. */
  heldBy(holder: Seq): Figures {
    return this.between(holder, forever);
  }

  get total(): Figures {
    return this.between(noPoint, forever);
  }

  /** The total by tables, those that have nothing left out. */
  perTable(): PerTable {
    const tables = new Map<TableId, Figures>();
    const take = (table: TableId, figures: Figures): void => {
      if (figures.versions > 0) tables.set(table, plus(tables.get(table) ?? nothing, figures));
    };
    for (const cell of this.#cells) take(cell.table, cell);
    this.#tail.forEach(take);
    return { tables, isExact: this.isExact };
  }

  /** Those with from < n ≤ to that span no point. */
  spanningNone(from: Seq, to: Seq): Figures {
    return plus(
      this.#counted((cell) => cell.first === noPoint && from < cell.to && cell.to <= to),
      this.#tail.where(from, to, (c, n) => firstSpanned(this.#points, c, n) === noPoint),
    );
  }

  /** Those that span `point`. */
  spanning(point: Seq): Figures {
    if (point === noPoint) return nothing;
    return plus(
      this.#counted((cell) => cell.first !== noPoint && cell.first <= point && point < cell.to),
      this.#tail.where(point, forever, (c) => c <= point),
    );
  }

  /** Those with n ≤ to that span `point` and no other. */
  only(point: Seq, to: Seq = forever): Figures {
    if (point === noPoint) return nothing;
    const before = lastBelow(this.#points, point);
    const isNone = (c: Seq, n: Seq): boolean => lastBelow(this.#points, n) !== point || (c <= before && before > 0);
    return plus(
      this.#counted((cell) => cell.first === point && cell.to <= to && lastBelow(this.#points, cell.to) === point),
      this.#tail.where(point, to, (c, n) => c <= point && !isNone(c, n)),
    );
  }

  /**
   * A ledger of its own, of which the base is as of `at`: what a publish under that fence and `floor` takes its drops out
   * of. Whatever was superseded at or below the floor may go, whenever that was, so that is given up: a version whose
   * successor is dropped elsewhere is found with a later one afterwards, and both have to be the same bucket's.
   */
  through(at: Seq, floor: Seq): GarbageLedger {
    const next = new GarbageLedger();
    next.#asOf = at;
    next.#points = this.#points;
    next.#isBlurred = this.#isBlurred;
    next.#unknownThrough = this.#unknown.findLast((n) => n <= at) ?? this.#unknownThrough;
    const cells = [...this.#cells, ...this.#tail.cellsThrough(at, this.#points)];
    next.#cells = settled(cells, this.#points, seq(Math.min(at, floor)));
    return next;
  }

  /**
   * Goes on from another's base, which is as of this one's fence or a later one. Whoever published that knew the points
   * below it; those above it change nothing in it, and were told here.
   */
  take(next: GarbageLedger): void {
    const told = this.#points;
    const points = next.#asOf === this.#asOf ? told : [...next.#points, ...told.filter((p) => p >= next.#asOf)];
    this.#asOf = next.#asOf;
    this.#cells = next.#cells;
    this.#points = next.#points;
    this.#isBlurred = next.#isBlurred;
    this.#unknownThrough = next.#unknownThrough;
    this.#tail.dropThrough(next.#asOf);
    this.#unknown = this.#unknown.filter((n) => n > next.#asOf);
    this.points(points);
  }

  /** The base, bounded, as bytes; from now on it is what these say. */
  encode(): StoredValue {
    const { cells, gaveUp } = joined(this.#cells, this.#points);
    this.#cells = cells;
    this.#isBlurred ||= gaveUp;
    return sealRow(ledgerKey, (out) => {
      out.varint(this.#asOf);
      out.varint(this.#unknownThrough);
      out.varint(this.#isBlurred ? 1 : 0);
      out.varint(this.#points.length);
      let before = 0;
      for (const p of this.#points) {
        out.varint(p - before);
        before = p;
      }
      out.varint(cells.length);
      before = 0;
      for (const { from, to, table, first, versions, bytes } of cells) {
        out.varint(to - before);
        out.varint(to - from);
        out.varint(table);
        out.varint(first === noPoint ? 0 : this.#points.indexOf(first) + 1);
        out.varint(versions);
        out.varint(bytes);
        before = to;
      }
    });
  }

  /** @throws CORRUPT */
  static decode(bytes: Uint8Array): GarbageLedger {
    const r = openRow(bytes, ledgerKey, "ledger");
    const ledger = new GarbageLedger();
    ledger.#asOf = seq(r.varint());
    ledger.#unknownThrough = seq(r.varint());
    ledger.#isBlurred = r.varint() === 1;
    let at = 0;
    ledger.#points = Array.from({ length: r.count() }, () => seq((at += r.varint())));
    let end = 0;
    ledger.#cells = Array.from({ length: r.count() }, (): Cell => {
      const to = seq((end += r.varint()));
      const from = seq(to - r.varint());
      const table = tableId(r.varint());
      const first = ledger.#points[r.varint() - 1] ?? noPoint;
      return { from, to, table, first, versions: r.varint(), bytes: r.varint() };
    });
    return ledger;
  }

  #counted(counts: (cell: Cell) => boolean): Figures {
    const sum = { versions: 0, bytes: 0 };
    for (const cell of this.#cells) {
      if (!counts(cell)) continue;
      sum.versions += cell.versions;
      sum.bytes += cell.bytes;
    }
    return sum;
  }

  /** The cell that counts such a version; where spans are blurred, another of the same bucket and table. */
  #cellWith(c: Seq, n: Seq, bytes: number, table: TableId): Cell | undefined {
    const at = bucketOf(this.#cells, n);
    const to = this.#cells[at]?.to;
    const first = firstSpanned(this.#points, c, n);
    let other: Cell | undefined;
    for (let i = at; this.#cells[i]?.to === to && i < this.#cells.length; i++) {
      const cell = this.#cells[i]!;
      if (cell.from > n || cell.table !== table || cell.versions === 0 || cell.bytes < bytes) continue;
      if (cell.first === first) return cell;
      other = cell;
    }
    if (other) this.#isBlurred = true;
    return other;
  }
}
