/** The works within a page by their names, in the order in which they run: each finds what those before it left. */
import { blocking } from "./blocking.ts";
import { bulk } from "./bulk.ts";
import { hot } from "./hot.ts";
import { live } from "./live.ts";
import { counts, gets, keys, range, scan } from "./reads.ts";
import { space } from "./space.ts";
import { typing } from "./typing.ts";
import type { Work } from "./work.ts";
import { concurrent, deletes, puts } from "./writes.ts";
import { ycsb } from "./ycsb.ts";

export const works = {
  bulk,
  scan,
  keys,
  get: gets,
  range,
  count: counts,
  space,
  put: puts,
  concurrent,
  delete: deletes,
  hot,
  live,
  blocking,
  ycsb,
  typing,
} satisfies Record<string, Work>;

export type WorkName = keyof typeof works;
