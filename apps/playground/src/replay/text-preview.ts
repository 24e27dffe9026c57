/** A window on a text that is being typed: what stands around the caret. */
import type { Replay } from "./replay.ts";

const before = 1400;
const after = 700;
/** Reading is not faster than this; the rest of the time belongs to the replay. */
const frameMs = 60;

export class TextPreview {
  readonly #box: HTMLElement;
  #followed: Replay | undefined;

  constructor(box: HTMLElement) {
    this.#box = box;
  }

  follow(replay: Replay): void {
    this.#followed = replay;
    let shownAt = 0;
    const frame = (now: number): void => {
      if (this.#followed !== replay) return;
      if (now - shownAt >= frameMs) {
        shownAt = now;
        this.#show(replay);
      }
      if (replay.state === "running" || replay.state === "paused") requestAnimationFrame(frame);
      else this.#show(replay);
    };
    requestAnimationFrame(frame);
  }

  #show({ text, caret }: Replay): void {
    const mark = document.createElement("span");
    mark.className = "caret";
    const start = Math.max(0, caret - before);
    this.#box.replaceChildren(text.slice(start, caret), mark, text.slice(caret, caret + after));
    this.#box.scrollTop = mark.offsetTop - this.#box.clientHeight * 0.6;
  }
}
