/**
 * WebKitGTK, driven as Playwright drives the others: a browser has contexts, and these have pages, with as much of
 * Playwright's interface as the specs use that run in it. It speaks plain WebDriver: https://www.w3.org/TR/webdriver2/
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

interface Paths {
  readonly driver: string;
  readonly screen: string;
}

export interface Display {
  readonly name: string;
  readonly close: () => void;
}

/** A screen that nobody sees, by the program that makes one. */
export async function openDisplay(program: string): Promise<Display> {
  const server = spawn(program, ["-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const [number] = (await once(createInterface(server.stdio[3] as Readable), "line")) as [string];
  return { name: `:${number}`, close: () => void server.kill() };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export class WebKitBrowser {
  readonly #driver: string;
  readonly #display: Display;
  readonly #contexts = new Set<WebKitContext>();

  private constructor(driver: string, display: Display) {
    this.#driver = driver;
    this.#display = display;
  }

  static async launch({ driver, screen }: Paths): Promise<WebKitBrowser> {
    return new WebKitBrowser(driver, await openDisplay(screen));
  }

  browserType(): { name: () => string } {
    return { name: () => "webkit" };
  }

  /** A browser of its own, which keeps nothing on the disk: so WebKit is under its driver, and in private windows. */
  async newContext({ baseURL }: { readonly baseURL?: string } = {}): Promise<WebKitContext> {
    const context = await WebKitContext.start(this.#driver, this.#display, baseURL);
    this.#contexts.add(context);
    return context;
  }

  async close(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    this.#display.close();
  }
}

type Script = (given: never) => unknown;

class WebKitContext {
  readonly #driver: ChildProcess;
  readonly #address: string;
  readonly #baseURL: string | undefined;
  readonly #initScripts: (readonly [Script, unknown])[] = [];
  #session = "";
  #firstWindow = "";
  /** One command after another: a session has one current window. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(driver: ChildProcess, port: number, baseURL: string | undefined) {
    this.#driver = driver;
    this.#address = `http://127.0.0.1:${port}`;
    this.#baseURL = baseURL;
  }

  static async start(driverPath: string, display: Display, baseURL: string | undefined): Promise<WebKitContext> {
    const port = await freePort();
    const env = { ...process.env, DISPLAY: display.name };
    const driver = spawn(driverPath, ["-p", String(port)], { stdio: "ignore", env });
    const context = new WebKitContext(driver, port, baseURL);
    for (let tries = 0; !(await context.#command("GET", "/status").catch(() => false)); tries++) {
      if (tries === 100) throw new Error(`WebKitWebDriver does not answer on port ${port}`);
      await sleep(100);
    }
    const { sessionId } = (await context.#command("POST", "/session", { capabilities: {} })) as { sessionId: string };
    context.#session = `/session/${sessionId}`;
    context.#firstWindow = (await context.#command("GET", "/window")) as string;
    return context;
  }

  async #command(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#address + this.#session + path, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const { value } = (await response.json()) as { value: unknown };
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`);
    return value;
  }

  /** Commands to one window that nothing comes between. */
  #in<R>(handle: string, use: () => Promise<R>): Promise<R> {
    const done = this.#last.then(async () => {
      await this.#command("POST", "/window", { handle });
      return use();
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** For pages that do nothing before they are asked to: it runs when they are loaded. */
  addInitScript(script: Script, given?: unknown): Promise<void> {
    this.#initScripts.push([script, given]);
    return Promise.resolve();
  }

  /** In a window of its own: of tabs in one window all but one are hidden. */
  async newPage(): Promise<WebKitPage> {
    const opening = this.#in(this.#firstWindow, () => this.#command("POST", "/window/new", { type: "window" }));
    const { handle } = (await opening) as { handle: string };
    return new WebKitPage({
      baseURL: this.#baseURL,
      initScripts: this.#initScripts,
      command: (method, path, body) => this.#in(handle, () => this.#command(method, path, body)),
    });
  }

  async close(): Promise<void> {
    await this.#command("DELETE", "").catch(() => undefined);
    this.#driver.kill();
  }
}

interface Window {
  readonly baseURL: string | undefined;
  readonly initScripts: readonly (readonly [Script, unknown])[];
  readonly command: (method: string, path: string, body?: object) => Promise<unknown>;
}

/** What a call in a page came to, so far. */
type Outcome = { readonly value?: unknown } | { readonly failure: string } | { readonly pending: true };

/** Calls go on while others are made, in this page and in others: each is begun, and asked after until it has ended. */
const begin = (use: Script): string => `
  const [id, given] = arguments;
  const begun = (async () => (${use.toString()})(given))();
  (globalThis["calls of the test"] ??= new Map()).set(id, begun.then(
    (value) => ({ value }),
    (e) => ({ failure: String(e) + "\\n" + (e?.stack ?? "") })));
  ${askAfter}`;
const askAfter = `
  const call = globalThis["calls of the test"]?.get(arguments[0]) ?? { failure: "the page that was called has gone" };
  Promise.race([call, new Promise((resolve) => setTimeout(resolve, 20, { pending: true }))])
    .then((outcome) => arguments[arguments.length - 1](JSON.stringify(outcome))); // of what is undefined it makes null`;

let calls = 0;

class WebKitPage {
  readonly #window: Window;
  #isClosed = false;

  constructor(window: Window) {
    this.#window = window;
  }

  async goto(address: string): Promise<void> {
    const url = new URL(address, this.#window.baseURL).href;
    await this.#window.command("POST", "/url", { url });
    // On a busy machine the driver takes the load of the blank page before for this one's.
    const isThere = (href: string): boolean => location.href === href && document.readyState === "complete";
    while (!(await this.evaluate(isThere, url).catch(() => false))) await sleep(20);
    await this.#prepare();
  }
  async reload(): Promise<void> {
    await this.#window.command("POST", "/refresh", {});
    await this.#prepare();
  }
  async #prepare(): Promise<void> {
    for (const [script, given] of this.#window.initScripts) await this.evaluate(script, given as never);
  }

  async close(): Promise<void> {
    await this.#window.command("DELETE", "/window");
    this.#isClosed = true;
  }
  isClosed(): boolean {
    return this.#isClosed;
  }

  async evaluate<R, A>(use: (given: A) => R | Promise<R>, given?: A): Promise<R> {
    const id = ++calls;
    const outcomeOf = async (script: string, ...args: unknown[]): Promise<Outcome> =>
      JSON.parse((await this.#window.command("POST", "/execute/async", { script, args })) as string) as Outcome;
    let outcome = await outcomeOf(begin(use), id, given ?? null);
    while ("pending" in outcome) outcome = await outcomeOf(askAfter, id);
    if ("failure" in outcome) throw new Error(outcome.failure);
    return outcome.value as R;
  }
  async waitForFunction(holds: () => boolean): Promise<void> {
    while (!(await this.evaluate(holds))) await sleep(20);
  }
  waitForTimeout(ms: number): Promise<void> {
    return sleep(ms);
  }
}
