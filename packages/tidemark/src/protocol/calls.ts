/**
 * Calls from a page to its worker, by the name of a method, and what the worker tells meanwhile. Each call has a number,
 * which its answer bears: answers come in any order.
 */
import { object } from "../codec/form.ts";

export interface Port {
  postMessage(message: unknown, moved: ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (message: { readonly data: unknown }) => void): void;
}

interface Call {
  readonly call: number;
  readonly method: string;
  readonly args: readonly unknown[];
}
type Said =
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly failure: string }
  | { readonly told: unknown };

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
      const call = ++this.#calls;
      this.#port.postMessage({ call, method, args } satisfies Call, moved);
      this.#waiting.set(call, { resolve, reject });
    });
  }

  #receive(said: Said): void {
    if ("told" in said) return this.hear(said.told);
    const waiting = this.#waiting.get(said.answer);
    this.#waiting.delete(said.answer);
    if ("failure" in said) waiting?.reject(new Error(said.failure));
    else waiting?.resolve(said.value);
  }
}

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
  const answer = async ({ call, method, args }: Call): Promise<void> => {
    try {
      const answered = await methods[method]!(...(args as never[]));
      const { value, buffers } = answered instanceof Moved ? answered : { value: answered, buffers: [] };
      port.postMessage({ answer: call, value } satisfies Said, buffers);
    } catch (e) {
      port.postMessage({ answer: call, failure: String(e) } satisfies Said, []);
    }
  };
  port.addEventListener("message", ({ data }) => {
    if (object(data) && "call" in data) void answer(data as Call);
  });
}

/** Tells the page something that is no answer. */
export const tell = (port: Port, told: unknown): void => port.postMessage({ told } satisfies Said, []);
