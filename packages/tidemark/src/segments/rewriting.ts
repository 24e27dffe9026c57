import type { TableId } from "../base/brand.ts";
import type { LoadBlocks } from "./block-cursor.ts";
import type { BlockWriterOptions } from "./block-writer.ts";
import type { Pace } from "./pace.ts";
import type { Rule } from "./rule.ts";

/**
 * What merges and sweeps are done with. A block is cut at `targetBytes`; `maxStoreBytes` bounds, in bytes of blocks, each
 * call of `load` and `store`, but for one larger block, which goes alone.
 */
export interface Rewriting extends BlockWriterOptions {
  readonly rule: Rule;
  /** Whether nobody at or above the floor can look at this table at all. */
  readonly isDead: (table: TableId) => boolean;
  readonly pace: Pace;
  readonly load: LoadBlocks;
}
