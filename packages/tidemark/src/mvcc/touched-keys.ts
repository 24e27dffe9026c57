import type { ByteKey } from "../base/brand.ts";
import type { Range } from "./read-set.ts";
import { firstAtOrAfter } from "./sorted-keys.ts";

/** Keys that commits touched, for many who ask whether theirs are among them: sorted once, when the first one asks. */
export class TouchedKeys {
  readonly keys: readonly ByteKey[];
  #sorted: readonly ByteKey[] | undefined;

  constructor(keys: readonly ByteKey[]) {
    this.keys = keys;
  }

  has(key: ByteKey): boolean {
    return this.#firstFrom(key) === key;
  }

  anyIn({ from, to }: Range): boolean {
    const first = this.#firstFrom(from);
    return first !== undefined && (to === undefined || first < to);
  }

  #firstFrom(key: ByteKey): ByteKey | undefined {
    const sorted = (this.#sorted ??= this.keys.toSorted());
    return sorted[firstAtOrAfter(sorted, key)];
  }
}
