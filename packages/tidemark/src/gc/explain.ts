/**
 * Why garbage is still there (VG13): who holds it back, and what would go if one of them did not. Pure, and answered from
 * the ledger's figures alone. A superseded version goes once its n is at or below both the floor and the checkpoint, and
 * it spans no point that counts by itself:
 *
 *   'floor'      all holders bound the floor
 *   'interval'   only pins do; snapshots and holds keep the versions that span them
 */
import { type Seq, seq } from "../base/brand.ts";
import type { Holder } from "../mvcc/holders.ts";
import type { Figures, GarbageLedger } from "../mvcc/ledger.ts";
import type { Proof } from "./floor.ts";

export interface Situation {
  readonly floor: Seq;
  readonly head: Seq;
  readonly checkpoint: Seq;
  readonly proof: Proof;
}

/** What would go if one holder alone were released. */
export interface Freed extends Figures {
  /** Who would hold back what is left: the id of the next holder. `undefined`: nobody, or whoever does so now. */
  readonly next: string | undefined;
}

export interface HolderExplained {
  readonly id: string;
  readonly kind: Holder["kind"] | "checkpoint";
  readonly owner: string;
  readonly seq: Seq;
  /** Commits between it and the head. */
  readonly behind: number;
  /** Of superseded versions that it keeps, whoever else keeps them too. */
  readonly bytesHeld: number;
  readonly frees: Freed;
}

export interface Explained {
  readonly floor: Seq;
  readonly head: Seq;
  /** By seq; the checkpoint among them where versions wait for it. */
  readonly holders: readonly HolderExplained[];
}

type Known = Omit<HolderExplained, "behind" | "bytesHeld" | "frees">;

const checkpointId = "checkpoint";

export function explainHolders(
  holders: readonly Holder[],
  ledger: GarbageLedger,
  { floor, head, checkpoint, proof }: Situation,
): Explained {
  const waits = ledger.heldBy(checkpoint).versions > 0;
  const own: Known = { id: checkpointId, kind: "checkpoint", owner: checkpointId, seq: checkpoint };
  const all = [...holders, ...(waits ? [own] : [])].toSorted((a, b) => a.seq - b.seq || (a.id < b.id ? -1 : 1));
  const reach = new Reach(all, ledger, head, proof);
  return {
    floor,
    head,
    holders: all.map((h) => ({
      id: h.id,
      kind: h.kind,
      owner: h.owner,
      seq: h.seq,
      behind: Math.max(0, head - h.seq),
      bytesHeld: (reach.isPoint(h) ? ledger.spanning(h.seq) : ledger.heldBy(h.seq)).bytes,
      frees: reach.freedBy(h),
    })),
  };
}

/** How far reclaiming may reach, with everybody there and without one of them. */
class Reach {
  readonly #ledger: GarbageLedger;
  readonly #proof: Proof;
  readonly #points: readonly Known[];
  /** Whoever bounds reclaiming as a whole, lowest first. */
  readonly #bounds: readonly Known[];
  readonly #head: Seq;

  constructor(all: readonly Known[], ledger: GarbageLedger, head: Seq, proof: Proof) {
    this.#ledger = ledger;
    this.#proof = proof;
    this.#points = all.filter((h) => this.isPoint(h));
    this.#bounds = all.filter((h) => !this.isPoint(h));
    this.#head = head;
  }

  /** Whether it keeps only what spans it. */
  isPoint({ kind }: Known): boolean {
    return this.#proof === "interval" && (kind === "snapshot" || kind === "hold");
  }

  freedBy(holder: Known): Freed {
    return this.isPoint(holder) ? this.#freedByPoint(holder) : this.#freedByBound(holder);
  }

  /** Another point at the same seq keeps all of it. */
  #freedByPoint(point: Known): Freed {
    const same = this.#points.find((p) => p !== point && p.seq === point.seq);
    if (same) return { versions: 0, bytes: 0, next: same.id };
    const to = this.#bounds[0]?.seq ?? this.#head;
    return { ...this.#ledger.only(point.seq, to), next: undefined };
  }

  /** Only the lowest one frees anything: what lies up to the next. */
  #freedByBound(holder: Known): Freed {
    const [lowest, second] = this.#bounds;
    if (holder !== lowest) return { versions: 0, bytes: 0, next: lowest?.id };
    const to = seq(Math.max(holder.seq, second?.seq ?? this.#head));
    const isWhole = this.#points.length === 0;
    const freed = isWhole ? this.#ledger.between(holder.seq, to) : this.#ledger.spanningNone(holder.seq, to);
    return { ...freed, next: second?.id };
  }
}
