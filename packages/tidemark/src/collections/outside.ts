/**
 * Large values on their way in. Before a commit is submitted they are written to store `blobs`, in small transactions
 * that nobody waits for, and the records hold references in their place; the commit publishes them (wal/staging.ts).
 */
import type { ValueBytes } from "../codec/aside.ts";
import { maxInlineBytes, type OutsideRef, outsideOf, slotsOf, withReference } from "../codec/outside.ts";
import { recordValue, type Write } from "../codec/record.ts";
import type { KeyRange } from "../storage/contract.ts";
import { stageValues } from "../wal/stage-values.ts";
import type { Staged, Staging } from "../wal/staging.ts";

export interface TakenOut {
  readonly writes: readonly Write[];
  readonly staged: readonly Staged[];
}

const none: readonly Staged[] = [];

export class Outside {
  readonly #staging: Staging;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  /** The writes with references in place of large values, which are stored but not published. */
  async takeOut(writes: readonly Write[]): Promise<TakenOut> {
    if (!hasLarge(writes)) return { writes, staged: none };
    const large = writes.map((w) => largeValue(w));
    const { refs, staged } = await stageValues(
      this.#staging,
      large.filter((value) => value !== undefined),
    );
    let next = 0;
    return { staged, writes: writes.map((w, i) => withoutLarge(w, large[i] && refs[next++])) };
  }

  discard(staged: readonly Staged[]): Promise<void> {
    return this.#staging.discard(staged);
  }
}

/**
 * What of `staged` is to be published with these writes: what the same transaction replaced is marked as unused. Where
 * they refer to nothing, nothing is to be published.
 */
export function usedBy(writes: readonly Write[], staged: readonly Staged[]): readonly Staged[] {
  if (staged.length === 0) return none;
  const used = writes.flatMap(({ payload }) => {
    const ref = payload && outsideOf(payload);
    return ref ? [slotsOf(ref)] : [];
  });
  return used.length === 0 ? none : staged.map((s) => ({ ...s, unused: gaps(s, used) }));
}

/** Whether any value is to go out of line. */
export const hasLarge = (writes: readonly Write[]): boolean => writes.some((w) => largeValue(w) !== undefined);

function largeValue({ payload, aside }: Write): ValueBytes | undefined {
  if (payload === undefined || (aside === undefined && payload.length <= maxInlineBytes)) return undefined;
  const bytes = recordValue(payload);
  if (aside === undefined) return bytes.length > maxInlineBytes ? bytes : undefined;
  const headBytes = payload.length - bytes.length;
  return { bytes, aside: aside.map((one) => ({ ...one, at: one.at - headBytes })) };
}

/** Also what stays in line is copied out of the message it came in: that would be held for as long as any of it is. */
function withoutLarge(write: Write, ref: OutsideRef | undefined): Write {
  const { kind, key, payload } = write;
  if (payload === undefined) return write;
  return { kind, key, payload: ref ? withReference(payload, ref) : payload.slice() };
}

/** The ids of `staged` that none of `used` has. */
function gaps(staged: Staged, used: readonly { readonly from: number; readonly to: number }[]): readonly KeyRange[] {
  const free: KeyRange[] = [];
  let at = staged.from;
  for (const u of used.toSorted((a, b) => a.from - b.from)) {
    if (u.to <= staged.from || u.from >= staged.to) continue;
    if (u.from > at) free.push({ from: at, to: u.from - 1 });
    at = Math.max(at, u.to);
  }
  if (at < staged.to) free.push({ from: at, to: staged.to - 1 });
  return free;
}
