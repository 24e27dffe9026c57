import fc from "fast-check";
import { expect, test } from "vitest";
import { type Seq, seq } from "../base/brand.ts";
import { type LedgerWorld, played, proofs, seed, steps } from "../mvcc/ledger-world.test-support.ts";
import type { Holder } from "../mvcc/holders.ts";
import { explainHolders } from "./explain.ts";
import type { Proof } from "./floor.ts";

console.info(`explain.property.test: LEDGER_SEED=${seed}`);

test("[VG13] what releasing one holder frees is what goes without it", () => {
  const holders = fc.array(
    fc.record({
      kind: fc.constantFrom("pin" as const, "pin" as const, "hold" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(steps, holders, proofs, (all, drawn, proof) => {
      const world = played(all, proof);
      const pins = drawn.flatMap(({ kind, share }, i): Holder[] =>
        kind === "pin"
          ? [
              {
                id: `pin/${i}`,
                kind,
                owner: `${i}`,
                seq: seq(Math.floor(world.floor + (world.head - world.floor) * share)),
              },
            ]
          : [],
      );
      const points = world.points.map((at, i): Holder => {
        const kind = i % 2 === 0 ? "snapshot" : "hold";
        return { id: `${kind}/${i}`, kind, owner: `${i}`, seq: at };
      });
      checkExplained(world, [...pins, ...points], proof);
    }),
    { seed, numRuns: 500 },
  );
});

/** How much could go, by the rule, with these holders and this checkpoint. */
function reclaimable(world: LedgerWorld, holders: readonly Holder[], checkpoint: Seq, proof: Proof) {
  const isPoint = (h: Holder): boolean => proof === "interval" && h.kind !== "pin";
  const bounds = holders.filter((h) => !isPoint(h)).map((h) => h.seq);
  const upTo = Math.min(checkpoint, ...bounds);
  const points = holders.filter(isPoint).map((h) => h.seq);
  return world.count((c, n) => n <= upTo && world.spanned(c, n, points) === 0);
}

function checkExplained(world: LedgerWorld, holders: readonly Holder[], proof: Proof): void {
  const { ledger, head, fence } = world;
  const situation = { floor: seq(0), head, checkpoint: fence, proof };
  const explained = explainHolders(holders, ledger, situation);
  const now = reclaimable(world, holders, fence, proof);
  const waits = world.count((_, n) => n > fence).versions > 0;
  expect(explained.holders.map((h) => h.id).toSorted()).toEqual(
    [...holders.map((h) => h.id), ...(waits ? ["checkpoint"] : [])].toSorted(),
  );
  for (const h of explained.holders) {
    const isCheckpoint = h.kind === "checkpoint";
    const without = holders.filter(({ id }) => id !== h.id);
    const then = reclaimable(world, without, isCheckpoint ? head : fence, proof);
    const { versions, bytes } = h.frees;
    expect({ versions, bytes }, `${h.id} under '${proof}'`).toEqual({
      versions: then.versions - now.versions,
      bytes: then.bytes - now.bytes,
    });
    const isPoint = proof === "interval" && (h.kind === "snapshot" || h.kind === "hold");
    const held = world.count((c, n) => n > h.seq && (!isPoint || (h.seq > 0 && c <= h.seq)));
    expect([h.bytesHeld, h.behind]).toEqual([held.bytes, head - h.seq]);
  }
}
