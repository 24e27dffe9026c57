/** The records of a range that are intact; what is not is passed over, and told of. */
import type { ByteKey } from "../base/brand.ts";
import { isTidemarkError } from "../base/errors.ts";
import type { ValueBytes } from "../codec/aside.ts";
import { outsideIn } from "../codec/outside.ts";
import { recordValue } from "../codec/record.ts";
import { decodeValue } from "../codec/value.ts";
import { packValues } from "../codec/values.ts";
import type { Handle } from "../mvcc/handles.ts";
import { after, type Range } from "../mvcc/read-set.ts";
import type { Damage } from "../mvcc/verify.ts";
import type { ScannedRecords } from "./scan.ts";

export interface SalvageQuery {
  /** One, of records. */
  readonly ranges: readonly Range[];
  readonly maxBytes: number;
}

export interface Salvaged extends ScannedRecords {
  readonly damage: readonly Damage[];
}

/** The next records of the range, about as many as `maxBytes` allow. */
export async function salvageRecords(handle: Handle, { ranges, maxBytes }: SalvageQuery): Promise<Salvaged> {
  const range = ranges[0]!;
  const keys: ByteKey[] = [];
  const values: Uint8Array[] = [];
  let sizeBytes = 0;
  let left: Range | undefined;
  const lost = await handle.scanIntact(range, ({ key }, payload) => {
    const value = recordValue(payload);
    keys.push(key);
    values.push(value);
    sizeBytes += outsideIn(value)?.sizeBytes ?? value.length;
    if (sizeBytes < maxBytes) return true;
    left = { from: after(key), to: range.to };
    return false;
  });
  const damage = [...lost];
  const intact: ValueBytes[] = [];
  for (const [i, value] of values.entries()) {
    const whole = await wholeOf(handle, keys[i]!, value);
    if ("why" in whole) damage.push(whole);
    else intact.push(whole);
  }
  const rest = left && { range: 0, left, skip: 0 };
  return { values: packValues(intact), keys: undefined, rest, damage };
}

/** The value, wherever it lies, or what is wrong with it. */
async function wholeOf(handle: Handle, key: ByteKey, value: Uint8Array): Promise<ValueBytes | Damage> {
  try {
    const whole = outsideIn(value) ? (await handle.values([key], [value]))[0]! : value;
    decodeValue(whole); // what cannot be read would end the salvage for all others
    return whole;
  } catch (e) {
    if (!isTidemarkError(e, "CORRUPT")) throw e;
    return { what: "value", id: undefined, from: key, to: key, why: e.message };
  }
}
