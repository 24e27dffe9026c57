/**
 * Inputs for whatever decodes bytes: noise, and valid ones that somebody damaged, with the checksum made to fit again or
 * not. FUZZ_RUNS multiplies how many there are: `FUZZ_RUNS=100 pnpm exec vitest run --project node fuzz`.
 */
import fc from "fast-check";
import { ByteWriter } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import { type ErrorCode, isTidemarkError } from "./errors.ts";

export const fuzzRuns = (usual: number): number => Math.ceil(usual * Number(process.env["FUZZ_RUNS"] ?? 1));

/** In place of some bytes of the input others: `at` and `drop` are taken modulo what is there. */
interface Splice {
  readonly at: number;
  readonly drop: number;
  readonly insert: Uint8Array | Piece;
}
/** A piece of another valid input, or of this one. */
interface Piece {
  readonly ofOther: boolean;
  readonly from: number;
  readonly length: number;
}

const extremes = [0, 1, 0x7f, 0x80, 0xffff, 2 ** 24, 2 ** 27, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 1];

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(16);
  write(out);
  return out.finish();
}

/** Lengths and counts as formats write them, set to what is least and most. */
const extreme = fc
  .tuple(fc.constantFrom(...extremes), fc.constantFrom("varint", "u32", "f64"))
  .map(([n, as]) => written((out) => (as === "u32" ? out.u32(n % 2 ** 32) : out[as](n))));

const position = fc.oneof(fc.nat(40), fc.nat(0xffff));
const splice: fc.Arbitrary<Splice> = fc.record({
  at: position,
  drop: fc.oneof(fc.constant(1), fc.nat(8), fc.nat(0xffff)),
  insert: fc.oneof(
    fc.constant(new Uint8Array(0)),
    fc.uint8Array({ minLength: 1, maxLength: 1 }),
    fc.uint8Array({ minLength: 1, maxLength: 9 }),
    extreme,
    fc.record({ ofOther: fc.boolean(), from: position, length: fc.nat(200) }),
  ),
});

function spliced(bytes: Uint8Array, other: Uint8Array, { at, drop, insert }: Splice): Uint8Array {
  const from = at % (bytes.length + 1);
  const to = from + (drop % (bytes.length - from + 1));
  return Uint8Array.from([...bytes.subarray(0, from), ...pieceOf(bytes, other, insert), ...bytes.subarray(to)]);
}

function pieceOf(bytes: Uint8Array, other: Uint8Array, insert: Uint8Array | Piece): Uint8Array {
  if (insert instanceof Uint8Array) return insert;
  const source = insert.ofOther ? other : bytes;
  const from = insert.from % (source.length + 1);
  return source.subarray(from, from + insert.length);
}

/** Valid inputs with up to four splices, which flip, cut, repeat and mix. */
export const mutantsOf = (valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(valid, valid, fc.array(splice, { minLength: 1, maxLength: 4 }))
    .map(([bytes, other, splices]) => splices.reduce((so, one) => spliced(so, other, one), bytes));

export const noise: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 200 });

/** `mutant` with the envelope of `valid` around it: what is damaged there does get past the checksum. */
export function resealed(mutant: Uint8Array, valid: Uint8Array, checkedFrom = 8, checksumAt = 4): Uint8Array {
  const bytes = Uint8Array.from([...valid.subarray(0, checkedFrom), ...mutant.subarray(checkedFrom)]);
  new DataView(bytes.buffer).setUint32(checksumAt, checksum(bytes.subarray(checkedFrom)), true);
  return bytes;
}

/** Noise, damaged ones, and damaged ones whose checksum fits. */
export const sealedInputs = (valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    { weight: 1, arbitrary: noise },
    { weight: 2, arbitrary: mutantsOf(valid) },
    { weight: 8, arbitrary: fc.tuple(mutantsOf(valid), valid).map(([mutant, whole]) => resealed(mutant, whole)) },
  );

/** What has no checksum of its own. */
export const bareInputs = (valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.oneof({ weight: 1, arbitrary: noise }, { weight: 5, arbitrary: mutantsOf(valid) });

const mostMs = 2000;
const mostBytes = 64 * 1024 * 1024;

/**
 * What becomes of decoding a small input: an answer, or one of these codes. Whatever else it throws is thrown, and taking
 * long, or memory that the input does not account for, fails as well.
 */
export function attempt<T>(
  decode: () => T,
  codes: readonly ErrorCode[] = ["CORRUPT", "FORMAT_UNSUPPORTED"],
): { readonly answer: T } | { readonly code: ErrorCode } {
  const [startMs, startBytes] = [performance.now(), memoryBytes()];
  try {
    return { answer: decode() };
  } catch (e) {
    if (isTidemarkError(e) && codes.includes(e.code)) return { code: e.code };
    throw e;
  } finally {
    within("ms", performance.now() - startMs, mostMs);
    within("bytes", memoryBytes() - startBytes, mostBytes);
  }
}

function within(what: string, used: number, most: number): void {
  if (used > most) throw new Error(`decoding took ${Math.round(used)} ${what}`);
}

const memoryBytes = (): number => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
