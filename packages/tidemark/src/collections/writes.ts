import type { ByteKey } from "../base/brand.ts";
import { TidemarkError } from "../base/errors.ts";
import type { Write } from "../codec/record.ts";
import type { Schema } from "../mvcc/schema.ts";

export interface LastWrites {
  readonly last: readonly Write[];
  /** An `add` of a key that an earlier write of the same list has. */
  readonly repeated?: { readonly key: ByteKey; readonly position: number };
}

/**
 * A commit writes a key once: the last word counts, and an `add` before it still demands that the key was free.
 * `isDistinct`: no key is there twice, as is known already.
 */
export function lastOfEach(writes: readonly Write[], isDistinct = false): LastWrites {
  if (isDistinct || writes.length < 2 || new Set(writes.map((w) => w.key)).size === writes.length)
    return { last: writes };
  const last = new Map<ByteKey, Write>();
  for (const [position, write] of writes.entries()) {
    const earlier = last.get(write.key);
    if (earlier && write.kind === "add" && earlier.kind !== "delete") {
      return { last: [], repeated: { key: write.key, position } };
    }
    last.set(write.key, earlier?.kind === "add" && write.kind === "put" ? { ...write, kind: "add" } : write);
  }
  return { last: [...last.values()] };
}

/** What an `add` of these keys ends with. */
export function keysTaken(
  refused: readonly { readonly key: ByteKey; readonly position: number }[],
  schema: Schema,
): TidemarkError {
  const failures = refused.map(({ key, position }) => ({
    position,
    key: schema.describe(key).key,
    code: "CONSTRAINT" as const,
  }));
  const where = schema.describe(refused[0]!.key);
  return new TidemarkError("CONSTRAINT", `A record with this key is already in '${where.collection}'`, {
    ...where,
    constraint: "key",
    failures,
  });
}
