/**
 * Which keys a block may hold, in eight bits a key: a Bloom filter (Bloom, "Space/time trade-offs in hash coding with
 * allowable errors", CACM 1970), probed by double hashing (Kirsch and Mitzenmacher, "Less hashing, same performance",
 * 2006). A key that is not there is taken for one that may be in about 2 of 100 cases. It stands in the manifest, so
 * that whether a key is new is nearly always known without reading a block.
 */
import type { ByteKey } from "../base/brand.ts";

const bitsPerKey = 8;
const probes = 5;

export function filterOf(keys: readonly ByteKey[]): Uint8Array {
  const filter = new Uint8Array(Math.ceil((keys.length * bitsPerKey) / 8));
  const bits = filter.length * 8;
  for (const key of keys) {
    let bit = hashOf(key);
    const step = stepOf(bit);
    for (let i = 0; i < probes; i++) {
      const at = bit % bits;
      filter[at >> 3]! |= 1 << (at & 7);
      bit = (bit + step) >>> 0;
    }
  }
  return filter;
}

/** False: none of the keys it was made of has this hash. An empty filter says nothing. */
export function mayHold(filter: Uint8Array, hash: number): boolean {
  const bits = filter.length * 8;
  if (bits === 0) return true;
  let bit = hash;
  const step = stepOf(hash);
  for (let i = 0; i < probes; i++) {
    const at = bit % bits;
    if ((filter[at >> 3]! & (1 << (at & 7))) === 0) return false;
    bit = (bit + step) >>> 0;
  }
  return true;
}

/** FNV-1a over the key's bytes, with the last mixing of MurmurHash3: 32 bits. Part of the storage format. */
export function hashOf(key: ByteKey): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return mixed(h);
}

/** Odd, so that probes do not fall on one another. */
const stepOf = (hash: number): number => (mixed(hash ^ 0x9e3779b9) | 1) >>> 0;

function mixed(n: number): number {
  let h = n;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
