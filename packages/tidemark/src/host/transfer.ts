import { buffersOf, type Values } from "../codec/values.ts";
import type { Response } from "../protocol/messages.ts";

/** Below this copying a buffer is cheaper than moving it. */
const minTransferBytes = 16 * 1024;

/** The large buffers of answers that carry values: they move to the page instead of being copied. */
export function transferable(responses: readonly Response[]): ArrayBuffer[] {
  return responses.flatMap((r) => {
    if (!r.ok || typeof r.value !== "object" || r.value === null) return [];
    const values = "values" in r.value ? (r.value.values as Values | undefined) : (r.value as Values);
    return values?.form === "json" || values?.form === "mixed"
      ? buffersOf(values).filter((b) => b.byteLength >= minTransferBytes)
      : [];
  });
}
