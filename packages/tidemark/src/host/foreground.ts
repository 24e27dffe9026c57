/** So long after a call or a commit the next is expected. */
const activeForMs = 50;

/** Who would wait for upkeep: this tab's page and, since all tabs share storage, whoever commits in another. */
export class Foreground {
  /** As `Environment.ticks`. */
  readonly #ticks: () => number;
  /** Lists of calls of this tab's page that are not answered yet. */
  #outstanding = 0;
  #last = -Infinity;

  constructor(ticks: () => number) {
    this.#ticks = ticks;
  }

  /** Whether the page waits for answers. */
  get isWaiting(): boolean {
    return this.#outstanding > 0;
  }

  /** Whether anybody worked within the last moments, and so is likely to go on. */
  get isActive(): boolean {
    return this.isWaiting || this.#ticks() - this.#last < activeForMs;
  }

  begin(): void {
    this.#outstanding++;
  }

  end(): void {
    this.#outstanding--;
    this.heard();
  }

  /** Another tab committed. */
  heard(): void {
    this.#last = this.#ticks();
  }
}
