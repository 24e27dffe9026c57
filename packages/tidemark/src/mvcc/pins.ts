/**
 * Pins: durable promises of the form "this tab may read at any seq ≥ p". Views open at the head, which is above the
 * tab's pin, so opening one writes nothing; a pin is written when a tab joins and when it is asked to raise it.
 */
import { type Seq, seq, type TabId, tabId } from "../base/brand.ts";
import {
  type Found,
  get,
  type Read,
  type Storage,
  type StoredValue,
  valueOf,
  type Write,
} from "../storage/contract.ts";
import { decodeFence, type Fence, readFence, sameLog } from "../wal/log.ts";
import { openRow, sealRow } from "../wal/row.ts";

const prefix = "pin/";

export interface Pin {
  readonly tab: TabId;
  readonly seq: Seq;
}

const encode = (at: Seq): StoredValue => sealRow((out) => out.varint(at));
const decode = (bytes: StoredValue, what: string): Seq => seq(openRow(bytes, what).varint());

/** The durable visibility floor: no view is ever opened below it. It rises within one incarnation of the log. */
export const readFloor: Read = get("meta", "floor");
export const putFloor = (at: Seq): Write => ({ kind: "put", store: "meta", key: "floor", value: encode(at) });
export const floorIn = (found: Found | undefined): Seq => {
  const bytes = valueOf(found);
  return bytes ? decode(bytes, "floor") : seq(0);
};

export const putPin = (tab: TabId, at: Seq): Write => ({
  kind: "put",
  store: "meta",
  key: prefix + tab,
  value: encode(at),
});
export const readPin = (tab: TabId): Read => get("meta", prefix + tab);
export const deletePin = (tab: TabId): Write => ({ kind: "delete", store: "meta", key: prefix + tab });

export const readPins: Read = { kind: "range", store: "meta", range: { from: prefix, to: `${prefix}~` } };

export const pinsIn = (found: Found): readonly Pin[] =>
  found.map(({ key, value }) => ({
    tab: tabId((key as string).slice(prefix.length)),
    seq: decode(value, "pin"),
  }));

/**
 * Raises the tab's pin to `to`, a seq of the log of `known`. False where it has none any more, or where the log lost
 * its end meanwhile: then `to` may be above the head.
 */
export async function raisePin(storage: Storage, tab: TabId, to: Seq, known: Fence): Promise<boolean> {
  const done = await storage.commit({
    durability: "relaxed",
    isRepeatable: true,
    reserve: "all",
    stores: ["meta"],
    reads: [readPin(tab), readFence],
    writes: ([pinRow, fenceRow]) => {
      const [pin, fence] = [valueOf(pinRow), valueOf(fenceRow)];
      if (!pin || !fence || !sameLog(decodeFence(fence), known)) return undefined;
      return decode(pin, "pin") >= to ? [] : [putPin(tab, to)];
    },
  });
  return done.status === "committed";
}
