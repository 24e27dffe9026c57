/** Named snapshots: states that stay readable, whatever commits, until they are deleted. */
import type { SnapshotReport } from "../protocol/messages.ts";
import { invalid } from "../protocol/options.ts";
import type { Session } from "./session.ts";
import { enterAbortable } from "./source.ts";
import type { Declarations, ReadOptions } from "./types.ts";
import type { View } from "./view.ts";

type OpenOn<C extends Declarations> = (name: string, signal: AbortSignal | undefined) => Promise<View<C>>;

export class Snapshots<C extends Declarations> {
  readonly #session: Session;
  readonly #open: OpenOn<C>;

  constructor(session: Session, open: OpenOn<C>) {
    this.#session = session;
    this.#open = open;
  }

  /**
   * Keeps the present state, all that was committed in any tab, under a name: on the disk when this resolves, until
   * `delete`. What it alone keeps takes room.
   * @throws CONSTRAINT where the name is taken; OPTIONS_INVALID unless it is a string that is not empty
   */
  async create(name: string): Promise<SnapshotReport> {
    checkSnapshotName(name);
    return this.#session.enter((c) => c.call<"snapshot-create">({ op: "snapshot-create", name }));
  }

  /** All there are, in the order of their names. */
  list({ signal }: ReadOptions = {}): Promise<readonly SnapshotReport[]> {
    return enterAbortable(this.#session, signal, (c) => c.call<"snapshot-list">({ op: "snapshot-list" }));
  }

  /** A view on it, to keep and release oneself; it stays as it is when the snapshot is deleted. @throws NOT_FOUND */
  async view(name: string, { signal }: ReadOptions = {}): Promise<View<C>> {
    checkSnapshotName(name);
    return this.#open(name, signal);
  }

  /** Lets go of what it alone keeps. @throws NOT_FOUND */
  async delete(name: string): Promise<void> {
    checkSnapshotName(name);
    return this.#session.enter((c) => c.call<"snapshot-delete">({ op: "snapshot-delete", name }));
  }
}

function checkSnapshotName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "") throw invalid("name", name, "a string that is not empty");
}
