/** The two curves of a replay: what keeping every version whole takes, and what the database holds. */
import type { TypingSession } from "./session.ts";

export interface Point {
  readonly commits: number;
  readonly bytes: number;
}

const columns = 300;

/** A curve of bounded length: of the points of one column the highest stays, and the newest is always its end. */
export class Curve {
  readonly #highest: Point[] = [];
  readonly #commits: number;
  #last: Point | undefined;

  /** `commits`: right end of the axis. */
  constructor(commits: number) {
    this.#commits = commits;
  }

  get points(): readonly Point[] {
    return this.#last ? [...this.#highest, this.#last] : [];
  }

  add(point: Point): void {
    const before = this.#highest.at(-1);
    this.#last = point;
    if (!before || this.#column(before) !== this.#column(point)) this.#highest.push(point);
    else if (point.bytes > before.bytes) this.#highest[this.#highest.length - 1] = point;
  }

  #column({ commits }: Point): number {
    return Math.floor((commits / this.#commits) * columns);
  }
}

/** What storing the first `limit` versions whole will take, counted in characters: known before any is written. */
export function expectedCurve({ startContent, txns }: TypingSession, limit: number): readonly Point[] {
  const curve = new Curve(limit);
  let { length } = startContent;
  let bytes = 0;
  curve.add({ commits: 0, bytes });
  for (const [i, { patches }] of txns.slice(0, limit).entries()) {
    for (const [, deleted, inserted] of patches) length += inserted.length - deleted;
    bytes += length;
    curve.add({ commits: i + 1, bytes });
  }
  return curve.points;
}
