import { expect, test } from "vitest";
import { seq, stamp, tabId } from "../base/brand.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { encodeEntry } from "./entry.ts";
import { GroupCommit, type Participants, type Sealed } from "./group-commit.ts";
import { type Fence, type Head, putFence } from "./log.ts";
import { Staging } from "./staging.ts";

const fence: Fence = { database: 7, incarnation: 0, seq: seq(0), checksum: 0, stamp: stamp(0) };

interface Member {
  resolve(at: number): void;
}

/** Accepts everything; members are told their seq. */
class Acceptor implements Participants<Member> {
  head: Head = fence;
  fence: Fence = fence;
  #members: readonly Member[] = [];

  prepare(): Promise<void> {
    return Promise.resolve();
  }
  isPrepared(): boolean {
    return true;
  }
  sizeOf(): number {
    return 1;
  }
  onlyDeletes(): boolean {
    return false;
  }
  staged(): readonly [] {
    return [];
  }
  beside(): undefined {
    return undefined;
  }
  decide(): readonly [] {
    return [];
  }
  durability(): "relaxed" {
    return "relaxed";
  }
  seal(members: readonly Member[]): Sealed {
    this.#members = members;
    const firstSeq = seq(this.head.seq + 1);
    const commits = members.map((_, i) => ({ seq: seq(firstSeq + i), stamp: stamp(1), id: 1, tag: "", writes: [] }));
    const bytes = encodeEntry(this.fence.database, this.head.checksum, tabId("t"), commits);
    return { bytes, firstSeq, staged: [] };
  }
  committed({ firstSeq }: Sealed): void {
    this.head = { seq: seq(firstSeq + this.#members.length - 1), checksum: 0, stamp: stamp(1) };
    this.#members.forEach((m, i) => m.resolve(firstSeq + i));
  }
  reload(): Promise<void> {
    throw new Error("nobody else writes");
  }
  follow(): Promise<void> {
    throw new Error("nobody else writes");
  }
  applyTail(): boolean {
    throw new Error("nobody else writes");
  }
  failed(_: readonly Member[], error: unknown): void {
    throw error;
  }
}

test.each([0, 1, 2, 3, 4, 5, 6])(
  "[MV1] a member submitted %i turns after the one before it was told is not forgotten",
  async (turns) => {
    const storage = await createMemoryStorage().open("d");
    await storage.commit({ durability: "strict", writes: [putFence(fence)] });
    const group = new GroupCommit<Member>(storage, new Staging(storage, tabId("t")), new Acceptor());
    const submit = () => new Promise<number>((resolve) => group.submit({ resolve }));
    const patience = (p: Promise<number>) =>
      Promise.race([p, new Promise<string>((resolve) => setTimeout(() => resolve("forgotten"), 200))]);
    expect(await submit()).toBe(1);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    expect(await patience(submit())).toBe(2);
  },
);
