/**
 * Calls from a page to its worker, by the name of a method, and what the worker tells meanwhile. Each call has a number,
 * which its answer bears: answers come in any order. A program may talk to a worker that it made in messages of its own;
 * so neither end takes for its own what does not look like that.
 */
import { object } from "../codec/form.ts";

export interface Port {
  postMessage(message: unknown, moved: ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (message: { readonly data: unknown }) => void): void;
}

interface Call {
  readonly tidemarkCall: number;
  readonly method: string;
  readonly args: readonly unknown[];
}
type Said =
  | { readonly tidemarkAnswer: number; readonly value: unknown }
  | { readonly tidemarkAnswer: number; readonly failure: unknown }
  | { readonly tidemarkTold: unknown };

// By hand: every call passes here, and its answer.
const isCall = (data: unknown): data is Call => {
  const { tidemarkCall, method, args } = (data ?? {}) as Partial<Call>;
  return typeof tidemarkCall === "number" && typeof method === "string" && Array.isArray(args);
};

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The page's end. */
export class Caller {
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** Hears what is told. */
  hear: (told: unknown) => void = () => undefined;

  constructor(port: Port) {
    this.#port = port;
    port.addEventListener("message", ({ data }) => {
      if (object(data)) this.#receive(data as Said);
    });
  }

  /** Fails where the method does, or is none. The buffers move instead of being copied. */
  call(method: string, args: readonly unknown[], moved: ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const tidemarkCall = ++this.#calls;
      this.#port.postMessage({ tidemarkCall, method, args } satisfies Call, moved);
      this.#waiting.set(tidemarkCall, { resolve, reject });
    });
  }

  #receive(said: Said): void {
    if ("tidemarkTold" in said) return this.hear(said.tidemarkTold);
    const waiting = this.#waiting.get(said.tidemarkAnswer);
    this.#waiting.delete(said.tidemarkAnswer);
    if ("failure" in said) waiting?.reject(new Error(String(said.failure)));
    else waiting?.resolve(said.value);
  }
}

/** Below this, copying a buffer is cheaper than moving it, and one copy of several cheaper than one of each. */
export const minMovedBytes: number = 16 * 1024;

/** An answer whose buffers move instead of being copied. */
export class Moved {
  readonly value: unknown;
  readonly buffers: ArrayBuffer[];

  constructor(value: unknown, buffers: ArrayBuffer[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

/** The worker's end. */
export function answerCalls(
  port: Port,
  methods: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>,
): void {
  const answer = async ({ tidemarkCall, method, args }: Call): Promise<void> => {
    try {
      if (!Object.hasOwn(methods, method)) throw new Error("there is no such call");
      const answered = await methods[method]!(...(args as never[]));
      const { value, buffers } = answered instanceof Moved ? answered : { value: answered, buffers: [] };
      port.postMessage({ tidemarkAnswer: tidemarkCall, value } satisfies Said, buffers);
    } catch (e) {
      port.postMessage({ tidemarkAnswer: tidemarkCall, failure: String(e) } satisfies Said, []);
    }
  };
  port.addEventListener("message", ({ data }) => {
    if (isCall(data)) void answer(data);
  });
}

/** Tells the page something that is no answer. */
export const tell = (port: Port, told: unknown): void => port.postMessage({ tidemarkTold: told } satisfies Said, []);
