import type { OpenRequest } from "../protocol/messages.ts";
import type { Environment } from "./environment.ts";
import { Foreground } from "./foreground.ts";
import { Grants } from "./grants.ts";
import { type PaceOptions, Slices } from "./pace.ts";

/** What background work of a worker waits for, and gets its slices by. */
export interface Background {
  readonly foreground: Foreground;
  readonly grants: Grants;
  readonly slices: Slices;
}

/** `tell`: whether work waits for slices, as that changes. */
export function backgroundOf(
  { page, gc }: OpenRequest,
  environment: Environment,
  { tell, debt }: Pick<PaceOptions, "debt"> & { readonly tell: (waits: boolean) => void },
): Background {
  const ticks = (): number => environment.ticks();
  const foreground = new Foreground(ticks);
  const grants = new Grants({ page, tell, ticks, sleep: (ms) => environment.clock.sleep(ms) });
  const giveWay = (): Promise<void> => environment.giveWay();
  const slices = new Slices({ ticks, giveWay, foreground, debt, grants, budgetMs: gc?.budgetMs });
  return { foreground, grants, slices };
}
