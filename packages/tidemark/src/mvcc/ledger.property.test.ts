import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Seq, seq } from "../base/brand.ts";
import { LedgerWorld, played, proofs, seed, steps, take } from "./ledger-world.test-support.ts";

function checkFigures(world: LedgerWorld, at: readonly Seq[]): void {
  const { ledger } = world;
  expect([ledger.isExact, ledger.knowsSpans]).toEqual([true, true]);
  expect(ledger.total).toEqual(world.count(() => true));
  expect(ledger.spanningNone(seq(0), world.head)).toEqual(world.count((c, n) => world.spanned(c, n) === 0));
  for (const [i, from] of at.entries()) {
    const to = at[i + 1] ?? world.head;
    expect(ledger.heldBy(from)).toEqual(world.count((_, n) => n > from));
    if (from <= to) expect(ledger.between(from, to)).toEqual(world.count((_, n) => from < n && n <= to));
  }
  for (const p of world.points) {
    if (p === 0) continue;
    expect(ledger.spanning(p)).toEqual(world.count((c, n) => c <= p && p < n));
    expect(ledger.only(p)).toEqual(world.count((c, n) => c <= p && p < n && world.spanned(c, n) === 1));
  }
}

console.info(`ledger.property.test: LEDGER_SEED=${seed}`);
const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 });

describe("the garbage ledger", () => {
  test("[VG13] counts what a list of all versions counts, between any two seqs and by points", () => {
    fc.assert(
      fc.property(steps, shares, proofs, (all, at, proof) => {
        const world = new LedgerWorld(proof);
        for (const s of all) {
          take(world, s);
          if (s.op !== "commit") checkFigures(world, []);
        }
        checkFigures(
          world,
          at.map((share) => seq(Math.floor(world.floor + (world.head - world.floor) * share))),
        );
      }),
      { seed, numRuns: 400 },
    );
  });

  test("[VG5] the same log and the same checkpoints give the same bytes, whoever counted them", () => {
    fc.assert(
      fc.property(steps, fc.nat(), proofs, (all, by, proof) => {
        const swapped = all.map((s, i) =>
          s.op === "publish" && (by >> (i % 16)) & 1 ? { ...s, readsBack: !s.readsBack } : s,
        );
        const [a, b] = [played(all, proof), played(swapped, proof)];
        expect(a.ledger.through(a.head, a.floor).encode()).toEqual(b.ledger.through(b.head, b.floor).encode());
      }),
      { seed, numRuns: 400 },
    );
  });
});
