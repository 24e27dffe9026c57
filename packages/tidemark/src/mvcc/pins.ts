/**
 * Pins: durable promises of the form "this tab may read at any seq ≥ p". Views open at the head, which is above the
 * tab's pin, so opening one writes nothing; a pin is written when a tab joins and when it is asked to raise it.
 */
import { type Seq, seq, type TabId, tabId } from "../base/brand.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { type Found, get, type Read, type Storage, valueOf, type Write } from "../storage/contract.ts";

const prefix = "pin/";

export interface Pin {
  readonly tab: TabId;
  readonly seq: Seq;
}

const encode = (at: Seq): Uint8Array<ArrayBuffer> => {
  const out = new ByteWriter(8);
  out.varint(at);
  return out.finish();
};

export const putPin = (tab: TabId, at: Seq): Write => ({
  kind: "put",
  store: "meta",
  key: prefix + tab,
  value: encode(at),
});
export const deletePin = (tab: TabId): Write => ({ kind: "delete", store: "meta", key: prefix + tab });

export const readPins: Read = { kind: "range", store: "meta", range: { from: prefix, to: `${prefix}~` } };

export const pinsIn = (found: Found): readonly Pin[] =>
  found.map(({ key, value }) => ({
    tab: tabId((key as string).slice(prefix.length)),
    seq: seq(new ByteReader(value, "pin").varint()),
  }));

/** Raises the tab's pin to `to`. False where it has none any more: then the tab has lost its right to read below. */
export async function raisePin(storage: Storage, tab: TabId, to: Seq): Promise<boolean> {
  const done = await storage.commit({
    durability: "relaxed",
    reads: [get("meta", prefix + tab)],
    writes: ([row]) => {
      const bytes = valueOf(row);
      if (!bytes) return undefined;
      const at = new ByteReader(bytes, "pin").varint();
      return at >= to ? [] : [putPin(tab, to)];
    },
  });
  return done.status === "committed";
}
