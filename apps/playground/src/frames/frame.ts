/**
 * A tab within the page: a frame, which has a page, a database handle and a worker of its own, as a browser's tab has.
 * With other tabs it shares what those share: what is stored, Web Locks, channels.
 */
export class Frame<Request, Event> {
  readonly element: HTMLIFrameElement;
  readonly #life = new AbortController();

  /** `query`: what it is to do, for `tab.html` to read. `heard` is called with what it says unasked. */
  constructor(title: string, query: Readonly<Record<string, string>>, heard: (event: Event) => void) {
    this.element = document.createElement("iframe");
    this.element.title = title;
    this.element.src = `${import.meta.env.BASE_URL}tab.html?${new URLSearchParams(query).toString()}`;
    const listen = (e: MessageEvent<Event>): void => {
      const isOurs = e.source !== null && e.source === this.element.contentWindow && e.origin === location.origin;
      if (isOurs) heard(e.data);
    };
    addEventListener("message", listen, { signal: this.#life.signal });
  }

  /** Rejects where the frame is killed before it has answered. */
  ask(request: Request): Promise<unknown> {
    const { port1, port2 } = new MessageChannel();
    return new Promise((resolve, reject) => {
      const { signal } = this.#life;
      signal.addEventListener("abort", () => reject(new Error("The tab is gone.")), { once: true });
      port1.onmessage = (e: MessageEvent<Answer>) => {
        port1.close();
        if ("error" in e.data) reject(new Error(e.data.error));
        else resolve(e.data.answer);
      };
      this.element.contentWindow?.postMessage(request, location.origin, [port2]);
    });
  }

  /** The browser ends its page and its worker at once, whatever they are doing. */
  kill(): void {
    this.#life.abort();
    this.element.remove();
  }
}

export type Answer = { readonly answer: unknown } | { readonly error: string };
