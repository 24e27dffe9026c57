import type { ByteKey, TableId } from "../base/brand.ts";
import type { Handle } from "../mvcc/handles.ts";
import type { Store } from "../mvcc/store.ts";
import { TouchedKeys } from "../mvcc/touched-keys.ts";

/** Live queries: whose reads a commit touched. Each is told once; whoever re-runs watches anew. */
export class Watches {
  readonly #store: Store;
  readonly #notify: (handles: readonly number[]) => void;
  readonly #watched = new Map<number, Handle>();

  constructor(store: Store, notify: (handles: readonly number[]) => void) {
    this.#store = store;
    this.#notify = notify;
  }

  /** Watches what `handle` has read so far, from its seq on: what was touched meanwhile counts. `tables`: there are. */
  watch(id: number, handle: Handle, tables: ReadonlySet<TableId>): void {
    const { reads, seq } = handle;
    if (!reads) return;
    if (this.#store.window.conflict(reads, seq) === undefined && !reads.leaves(tables)) this.#watched.set(id, handle);
    else this.#notify([id]);
  }

  get size(): number {
    return this.#watched.size;
  }

  drop(id: number): void {
    this.#watched.delete(id);
  }

  touched(keys: readonly ByteKey[]): void {
    if (this.#watched.size === 0) return;
    const hit: number[] = [];
    const touched = new TouchedKeys(keys);
    for (const [id, handle] of this.#watched) if (handle.reads?.meetsAny(touched)) hit.push(id);
    this.#tell(hit);
  }

  /** Only these tables are left: a clearing touches no key, but everybody who looked into what it left behind. */
  left(tables: ReadonlySet<TableId>): void {
    const hit: number[] = [];
    for (const [id, handle] of this.#watched) if (handle.reads?.leaves(tables)) hit.push(id);
    this.#tell(hit);
  }

  /** Anything may have changed. */
  all(): void {
    this.#tell([...this.#watched.keys()]);
  }

  #tell(ids: readonly number[]): void {
    if (ids.length === 0) return;
    for (const id of ids) this.#watched.delete(id);
    this.#notify(ids);
  }
}
