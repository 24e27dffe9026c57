import { buffersOf, type Values } from "../codec/values.ts";
import { minMovedBytes } from "../protocol/calls.ts";
import type { Response } from "../protocol/messages.ts";

/** The large buffers of answers that carry values: they move to the page instead of being copied. */
export function transferable(responses: readonly Response[]): ArrayBuffer[] {
  const moved: ArrayBuffer[] = [];
  for (const { ok, value } of responses as readonly { readonly ok: boolean; readonly value?: unknown }[]) {
    if (!ok || typeof value !== "object" || value === null) continue;
    const values = ("values" in value ? value.values : value) as Values | undefined;
    if (values?.form !== "json" && values?.form !== "mixed") continue;
    for (const buffer of buffersOf(values)) if (buffer.byteLength >= minMovedBytes) moved.push(buffer);
  }
  return moved;
}
