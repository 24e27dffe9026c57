import { isTidemarkError } from "../base/errors.ts";
import { get, type Found, type Read, valueOf, type Write } from "../storage/contract.ts";
import type { Fence } from "../wal/log.ts";
import { GarbageLedger, ledgerKey as key } from "./ledger.ts";

/** The ledger's base. It is written with every manifest that has been published, so it is as of the fence beside it. */
export const readLedger: Read = get("meta", key);
export const putLedger = (ledger: GarbageLedger): Write => ({
  kind: "put",
  store: "meta",
  key,
  value: ledger.encode(),
});

/** Absent before the first checkpoint, and after those of builds that kept none. Damaged, it is as good as absent. */
export function ledgerIn(found: Found | undefined, { seq }: Fence): GarbageLedger {
  const bytes = valueOf(found);
  try {
    const ledger = bytes && GarbageLedger.decode(bytes);
    if (ledger?.asOf === seq) return ledger;
  } catch (e) {
    if (!isTidemarkError(e, "CORRUPT")) throw e;
  }
  return GarbageLedger.unknownAt(seq);
}
