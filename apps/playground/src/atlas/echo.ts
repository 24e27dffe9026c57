/** How long an edit made in another tab took to be seen here: from just before its commit there to the frame here. */
import type { Pulse } from "../databases.ts";
import { nextFrame } from "../next-frame.ts";
import { isFromAnotherTab } from "../stamp.ts";

export interface Heard {
  readonly what: string;
  readonly latencyMs: number;
}

export class Echo {
  readonly #seenAt = new Map<string, number>();
  readonly #heard: Heard[] = [];
  readonly #onHeard: (heard: readonly Heard[]) => void;

  constructor(onHeard: (heard: readonly Heard[]) => void) {
    this.#onHeard = onHeard;
  }

  /** Call it when what `pulse` tells of stands in the page. */
  async rendered(pulse: Pulse | undefined): Promise<void> {
    if (!pulse || pulse.edited.at <= (this.#seenAt.get(pulse.section) ?? 0)) return;
    this.#seenAt.set(pulse.section, pulse.edited.at);
    if (!isFromAnotherTab(pulse.edited)) return;
    const shownAt = await nextFrame();
    this.#heard.push({ what: pulse.what, latencyMs: shownAt - pulse.edited.at });
    this.#onHeard(this.#heard);
  }
}
