import type { Write } from "../codec/record.ts";
import type { Committer } from "../mvcc/committer.ts";
import { type CommitDone, type CommitRequest, stagedIsGone } from "../mvcc/group.ts";
import type { Handle } from "../mvcc/handles.ts";
import { isSwept } from "../wal/staging.ts";
import { hasLarge, type Outside, usedBy } from "./outside.ts";

/**
 * Commits in call order, though what has large values takes a while until it can be submitted: what is called after it
 * waits for that, else it could be overwritten by what was called before it. Large values themselves are written side
 * by side.
 */
export class Submissions {
  readonly #committer: Committer;
  readonly #outside: Outside;
  /** Resolves when everything called so far is submitted; absent where it is. */
  #ahead: Promise<unknown> | undefined;

  constructor(committer: Committer, outside: Outside) {
    this.#committer = committer;
    this.#outside = outside;
  }

  /** Commits writes that depend on nothing read. */
  commit(request: CommitRequest): Promise<CommitDone> {
    return this.#ahead || hasLarge(request.writes) ? this.#commitInTurn(request) : this.#committer.commit(request);
  }

  async #commitInTurn(request: CommitRequest): Promise<CommitDone> {
    const submitting = this.#submit(request, this.#ahead);
    const submitted = submitting.then(nothing, nothing);
    this.#ahead = submitted;
    void submitted.then(() => {
      if (this.#ahead === submitted) this.#ahead = undefined;
    });
    const { done, staged } = await submitting;
    return this.#orDiscard(done, staged);
  }

  async #submit(request: CommitRequest, ahead: Promise<unknown> | undefined): Promise<Submitted> {
    const taking = this.#outside.takeOut(request.writes);
    await Promise.allSettled([taking, ahead]);
    const { writes, staged } = await taking;
    const done = this.#committer.commit({ ...request, writes, staged });
    done.catch(nothing); // whoever called hears of it
    return { done, staged };
  }

  /** Commits a transaction. What is left of what it staged goes when it ends. */
  async commitTransaction(handle: Handle, request: CommitRequest): Promise<CommitDone> {
    const staged = usedBy(request.writes, handle.staged);
    const done = await this.#committer.commit({ ...request, staged });
    if (staged.length > 0) handle.staged = [];
    return done;
  }

  /** Writes on their way into a transaction: it holds references to those that are large. */
  async takeOut(handle: Handle, writes: readonly Write[]): Promise<readonly Write[]> {
    if (!hasLarge(writes)) return writes;
    const taken = await this.#outside.takeOut(writes).catch((e: unknown): never => {
      throw isSwept(e) ? stagedIsGone() : e;
    });
    handle.staged = [...handle.staged, ...taken.staged];
    return taken.writes;
  }

  /** A transaction has ended: what it staged and did not publish goes. */
  async dropped(handle: Handle): Promise<void> {
    if (handle.staged.length === 0) return;
    await handle.inOrder(() => this.#outside.discard(handle.staged));
  }

  /** Resolves when nothing is being committed. */
  async idle(): Promise<void> {
    while (this.#ahead) await this.#ahead;
    await this.#committer.settled();
  }

  async #orDiscard(done: Promise<CommitDone>, staged: Submitted["staged"]): Promise<CommitDone> {
    try {
      return await done;
    } catch (e) {
      await this.#outside.discard(staged);
      throw e;
    }
  }
}

interface Submitted {
  /** Wrapped, so that whoever waits for the submission does not wait for the commit. */
  readonly done: Promise<CommitDone>;
  readonly staged: NonNullable<CommitRequest["staged"]>;
}

const nothing = (): void => undefined;
