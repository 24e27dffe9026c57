/** The last minute of some bytes as a water level. */

interface Level {
  readonly at: number;
  readonly bytes: number;
}

const windowMs = 60_000;
const headroom = 1.15;

export class TideGauge {
  readonly #canvas: HTMLCanvasElement;
  readonly #leastFullBytes: number;
  #levels: Level[] = [];

  /** `leastFullBytes`: where the scale ends at least, so that a single edit does not look like a flood. */
  constructor(canvas: HTMLCanvasElement, leastFullBytes: number) {
    this.#canvas = canvas;
    this.#leastFullBytes = leastFullBytes;
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  add(level: Level): void {
    this.#levels.push(level);
    // One older than the window stays, so that the line begins at the edge.
    const firstInside = this.#levels.findIndex((l) => l.at >= level.at - windowMs);
    if (firstInside > 1) this.#levels = this.#levels.slice(firstInside - 1);
    this.#draw();
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const last = this.#levels.at(-1);
    if (!context || !last || width === 0) return;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    context.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(this.#canvas);
    const full = headroom * Math.max(this.#leastFullBytes, ...this.#levels.map((l) => l.bytes));
    const x = (at: number): number => width - ((last.at - at) / windowMs) * width;
    const y = (bytes: number): number => height - 2 - (bytes / full) * (height - 4);
    const first = this.#levels[0] ?? last;
    context.beginPath();
    context.moveTo(0, y(first.bytes));
    for (const { at, bytes } of this.#levels) context.lineTo(Math.max(0, x(at)), y(bytes));
    context.lineTo(width, y(last.bytes));
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.fillStyle = style.getPropertyValue("--water");
    context.fill();
  }
}
