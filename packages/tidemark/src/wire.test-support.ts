/** Messages between realms that are none, or not what they were, and what may not take for ever. */
import fc from "fast-check";

export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    true,
    0,
    -1,
    0.5,
    NaN,
    Infinity,
    2 ** 53,
    2 ** 40,
    "",
    "x",
    "\0\0\0\x01",
    [],
    {},
  ),
  fc.constantFrom<unknown>(["x"], [[]], { from: "" }, new Uint8Array(3), new Map(), new Date(NaN), 5n),
);
/** A message some part of which is something else, or gone. */
export const mutated = (valid: unknown): fc.Arbitrary<unknown> =>
  fc.tuple(fc.nat(24), junk, fc.boolean()).map(([at, other, isGone]) => {
    let left = at;
    const walk = (of: unknown): unknown => {
      if (left-- === 0) return other;
      if (Array.isArray(of)) return of.map(walk);
      if (typeof of !== "object" || of === null || of instanceof Uint8Array || of instanceof Blob) return of;
      const fields = Object.entries(of).map(([name, field]) => [name, walk(field)] as const);
      return Object.fromEntries(isGone && left < 0 ? fields.filter(([, field]) => field !== other) : fields);
    };
    return walk(valid);
  });

export const withinMs = <T>(what: unknown, ms: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`hangs: ${JSON.stringify(what)}`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};
