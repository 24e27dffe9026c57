import { xxHash32 } from "js-xxhash";

/** XXH32 (Yann Collet, xxHash specification 0.1.1) of the bytes, as an unsigned 32-bit number. */
export const checksum = (bytes: Uint8Array, seed = 0): number => xxHash32(bytes, seed) >>> 0;
