import type { CollectorOptions } from "../gc/collector.ts";
import { defaultDebt } from "../gc/floor.ts";
import { defaultGenerations } from "../gc/generations.ts";
import type { OpenRequest } from "../protocol/messages.ts";

/** How garbage is collected, as the page that opened asks for it. */
export const collectionOf = ({ debt }: OpenRequest): CollectorOptions => ({
  proof: "floor",
  debt: debt ?? defaultDebt,
  generations: defaultGenerations,
  isAutomatic: true,
});
