import { TidemarkError } from "../base/errors.ts";
import type { Answers, Failure, HostSurface, Request, Response } from "../protocol/messages.ts";

type Op = Request["op"];
type RequestOf<O extends Op> = Extract<Request, { op: O }>;

interface Waiting {
  readonly request: Request;
  readonly settled: Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const long: ReadonlySet<Op> = new Set<Op>(["checkpoint", "metrics", "verify"]);

/** What may take long, or waits for a turn, travels alone: nobody's answer waits for its. */
const isAlone = (r: Request): boolean => long.has(r.op) || (r.op === "begin" && r.attempt > 0);

/** Requests to the worker, in call order. Those made in the same tick travel as one message and are answered by one. */
export class Connection {
  readonly #surface: HostSurface;
  #queue: Waiting[] = [];
  readonly #open = new Set<Waiting>();
  #failure: TidemarkError | undefined;

  constructor(surface: HostSurface) {
    this.#surface = surface;
  }

  call<O extends Op>(request: RequestOf<O>): Promise<Answers[O]> {
    if (this.#failure) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = withResolvers();
    const waiting: Waiting = { request, settled: promise, resolve, reject };
    this.#open.add(waiting);
    if (isAlone(request)) {
      this.#flush();
      void this.#submit([waiting]);
    } else if (this.#queue.push(waiting) === 1) {
      queueMicrotask(() => this.#flush());
    }
    return promise as Promise<Answers[O]>;
  }

  /** Resolves when every request made so far has its answer. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await Promise.allSettled([...this.#open].map((w) => w.settled));
  }

  /** Everything under way, and whatever is called from now on, ends with `error`. */
  fail(error: TidemarkError): void {
    this.#failure ??= error;
    this.#queue = [];
    for (const w of this.#open) w.reject(error);
    this.#open.clear();
  }

  #flush(): void {
    if (this.#queue.length > 0) void this.#submit(this.#queue.splice(0));
  }

  async #submit(waiting: readonly Waiting[]): Promise<void> {
    let responses: readonly Response[];
    try {
      responses = await this.#surface.submit(waiting.map((w) => w.request));
    } catch (e) {
      for (const w of waiting) this.#settle(w, () => w.reject(e));
      return;
    }
    waiting.forEach((w, i) => {
      const response = responses[i]!;
      this.#settle(w, () => (response.ok ? w.resolve(response.value) : w.reject(errorOf(response.error))));
    });
  }

  #settle(waiting: Waiting, settle: () => void): void {
    this.#open.delete(waiting);
    settle();
  }
}

export const errorOf = (f: Failure): TidemarkError => new TidemarkError(f.code, f.message, f.details);

interface Resolvers {
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

function withResolvers(): Resolvers {
  let resolve: Resolvers["resolve"] = () => undefined;
  let reject: Resolvers["reject"] = () => undefined;
  const promise = new Promise<unknown>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
