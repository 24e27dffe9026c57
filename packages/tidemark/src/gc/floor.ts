/**
 * The visibility floor: the smallest seq any holder may still read at. It is durable and only rises. Creating a pin and
 * raising the floor are serialised by storage: a joining tab pins the fence, or the floor where that has risen past it,
 * in one transaction, and the floor rises to the smallest pin in another.
 */
import { type Seq, seq, type TabId } from "../base/brand.ts";
import { deletePin, floorIn, type Pin, pinsIn, putFloor, readFloor, readPins } from "../mvcc/pins.ts";
import type { Storage } from "../storage/contract.ts";
import type { Tenure } from "./tenure.ts";

/** The floor that these pins allow, never below the present one. */
export function floorUnder(present: Seq, pins: readonly Pin[]): Seq {
  const lowest = Math.min(...pins.map((p) => p.seq));
  return seq(Math.max(present, Number.isFinite(lowest) ? lowest : present));
}

/**
 * The tabs whose pins are left over: their lock is free. Pins are read before the locks are asked for, since a tab
 * takes its lock before it writes its pin: what is found without a lock then is dead for good.
 */
export async function deadTabs(
  storage: Storage,
  lockedTabs: () => Promise<ReadonlySet<TabId>>,
): Promise<ReadonlySet<TabId>> {
  const [found] = await storage.read([readPins]);
  const live = await lockedTabs();
  return new Set(pinsIn(found ?? []).flatMap(({ tab }) => (live.has(tab) ? [] : [tab])));
}

/**
 * Raises the durable floor to the smallest pin left after the pins of `dead` are removed.
 * `undefined`: this tenure is over.
 */
export async function raiseFloor(tenure: Tenure, dead: ReadonlySet<TabId>): Promise<Seq | undefined> {
  let floor = seq(0);
  const written = await tenure.write(
    "strict",
    [readFloor, readPins],
    ([floorRow, pinRows]) => {
      const present = floorIn(floorRow);
      const pins = pinsIn(pinRows ?? []);
      const left = pins.filter((p) => !dead.has(p.tab));
      floor = floorUnder(present, left);
      return [
        ...pins.filter((p) => dead.has(p.tab)).map((p) => deletePin(p.tab)),
        ...(floor > present ? [putFloor(floor)] : []),
      ];
    },
    ["meta"],
  );
  return written ? floor : undefined;
}
