import { TidemarkError } from "../base/errors.ts";
import { failureForm } from "../protocol/forms.ts";
import type { Answers, Failure, HostSurface, Request, Response } from "../protocol/messages.ts";
import { unanswered } from "./answers.ts";
import { fateOf, namesHandle, owed } from "./worker-death.ts";

type Op = Request["op"];
type RequestOf<O extends Op> = Extract<Request, { op: O }>;

interface Waiting {
  readonly request: Request;
  readonly settled: Promise<unknown>;
  /** To so many workers. */
  sent: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const long: ReadonlySet<Op> = new Set<Op>([
  "changes",
  "checkpoint",
  "gc-proofs",
  "gc-run",
  "metrics",
  "ready",
  "verify",
]);
/** Background work that somebody waits for. */
const upkeep: ReadonlySet<Op> = new Set<Op>(["checkpoint", "gc-run", "ready", "verify"]);

/** What may take long, or waits for a turn, travels alone: nobody's answer waits for its. */
const isAlone = (r: Request): boolean => long.has(r.op) || (r.op === "begin" && r.attempt > 0);

/**
 * Requests to one worker, in call order; before it is there, they wait. Those made in the same tick travel as one
 * message and are answered by one.
 */
export class Connection {
  #surface: HostSurface | undefined;
  #queue: Waiting[] = [];
  readonly #open = new Set<Waiting>();
  #failure: TidemarkError | undefined;
  /** Set when the worker died: why, and the connection to the next one. */
  #lost: { readonly death: TidemarkError; readonly next: Connection } | undefined;

  /** The worker is there. */
  connect(surface: HostSurface): void {
    this.#surface = surface;
    this.#flush();
  }

  /** Whether its worker died, and every view and transaction opened through it. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Whether its worker is there. */
  get isThere(): boolean {
    return this.#surface !== undefined && !this.#lost && !this.#failure;
  }

  /** Sends at once what nobody is answered for. */
  send(request: Request): void {
    this.#surface?.submit([request]).catch(() => undefined);
  }

  /** Whether an answer is awaited other than that of upkeep itself. */
  get isAwaited(): boolean {
    return [...this.#open].some(({ request }) => !upkeep.has(request.op));
  }

  /** To the present worker or, while there is none, to the next one: this, or what came after it. */
  get present(): Connection {
    return this.#lost?.next.present ?? this;
  }

  call<O extends Op>(request: RequestOf<O>): Promise<Answers[O]> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#lost) {
      const { death, next } = this.#lost;
      return namesHandle(request) ? Promise.reject(owed("none", death)) : next.call(request);
    }
    const { promise, resolve, reject } = withResolvers();
    this.#enqueue({ request, settled: promise, sent: 0, resolve, reject });
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

  /** The worker died: the connection to the next one, where goes on what can; the rest ends. */
  succeed(death: TidemarkError): Connection {
    const next = new Connection();
    this.#lost = { death, next };
    this.#queue = [];
    for (const w of this.#open) {
      const fate = fateOf(w.request, w.sent);
      if (fate === "goes on") next.#enqueue(w);
      else w.reject(owed(fate, death));
    }
    this.#open.clear();
    return next;
  }

  #enqueue(waiting: Waiting): void {
    this.#open.add(waiting);
    this.#queue.push(waiting);
    if (isAlone(waiting.request)) this.#flush();
    else if (this.#queue.length === 1) void Promise.resolve().then(() => this.#flush());
  }

  #flush(): void {
    const surface = this.#surface;
    if (!surface) return;
    for (const message of messagesOf(this.#queue.splice(0))) void this.#submit(surface, message);
  }

  async #submit(surface: HostSurface, waiting: readonly Waiting[]): Promise<void> {
    let responses: readonly Response[] | undefined;
    for (const w of waiting) w.sent++;
    try {
      responses = await surface.submit(waiting.map((w) => w.request));
    } catch (e) {
      for (const w of waiting) {
        this.#open.delete(w);
        w.reject(unanswered(w.request.op, e));
      }
      return;
    }
    for (let i = 0; i < waiting.length; i++) {
      const w = waiting[i]!;
      this.#open.delete(w);
      answered(w, responses?.[i]);
    }
  }
}

/** Nobody waits for ever, whatever came in place of an answer. */
function answered(w: Waiting, response: Response | undefined): void {
  if (response?.ok === true) w.resolve(response.value);
  else if (response?.ok === false && failureForm(response.error)) w.reject(errorOf(response.error));
  else w.reject(unanswered(w.request.op));
}

/** One message for all, but for what travels alone. */
function messagesOf(queue: readonly Waiting[]): readonly Waiting[][] {
  const messages: Waiting[][] = [];
  let together: Waiting[] | undefined;
  for (const waiting of queue) {
    if (isAlone(waiting.request)) {
      messages.push([waiting]);
      together = undefined;
    } else if (together) together.push(waiting);
    else messages.push((together = [waiting]));
  }
  return messages;
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
