/** A client for WebKitGTK, which speaks plain WebDriver and nothing else: https://www.w3.org/TR/webdriver2/ */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

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

/** What a script in a page came to. */
type Outcome<R> = { readonly value: R } | { readonly failure: string };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export class WebKit {
  readonly #driver: ChildProcess;
  readonly #address: string;
  #session = "";
  #firstWindow = "";
  /** One command after another: a session has one current window. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(driver: ChildProcess, port: number) {
    this.#driver = driver;
    this.#address = `http://127.0.0.1:${port}`;
  }

  static async start(driverPath: string, display: Display): Promise<WebKit> {
    const port = await freePort();
    const env = { ...process.env, DISPLAY: display.name };
    const driver = spawn(driverPath, ["-p", String(port)], { stdio: "ignore", env });
    const browser = new WebKit(driver, port);
    for (let tries = 0; !(await browser.#command("GET", "/status").catch(() => false)); tries++) {
      if (tries === 100) throw new Error(`WebKitWebDriver does not answer on port ${port}`);
      await sleep(100);
    }
    const { sessionId } = (await browser.#command("POST", "/session", { capabilities: {} })) as { sessionId: string };
    browser.#session = `/session/${sessionId}`;
    browser.#firstWindow = (await browser.#command("GET", "/window")) as string;
    return browser;
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

  /** In a window of its own: of tabs in one window all but one are hidden. */
  async openTab(url: string): Promise<Tab> {
    const opening = this.#in(this.#firstWindow, () => this.#command("POST", "/window/new", { type: "window" }));
    const { handle } = (await opening) as { handle: string };
    const tab: Tab = {
      goto: (address) => this.#in(handle, () => this.#command("POST", "/url", { url: address })).then(() => undefined),
      reload: () => this.#in(handle, () => this.#command("POST", "/refresh", {})).then(() => undefined),
      close: () => this.#in(handle, () => this.#command("DELETE", "/window")).then(() => undefined),
      evaluate: (use, ...given) => this.#in(handle, () => this.#evaluate(use, given)),
    };
    await tab.goto(url);
    return tab;
  }

  async #evaluate<A extends unknown[], R>(use: (...given: A) => R | Promise<R>, given: A): Promise<R> {
    const script = `const given = [...arguments], done = given.pop();
      (async () => (${use.toString()})(...given))().then(
        (value) => done({ value }),
        (e) => done({ failure: String(e) + "\\n" + (e?.stack ?? "") }));`;
    const outcome = (await this.#command("POST", "/execute/async", { script, args: given })) as Outcome<R>;
    if ("failure" in outcome) throw new Error(outcome.failure);
    return outcome.value;
  }

  async close(): Promise<void> {
    await this.#command("DELETE", "").catch(() => undefined);
    this.#driver.kill();
  }
}

/** Used like Playwright's pages. While a call waits in the page, calls to other tabs wait, too. */
export interface Tab {
  readonly goto: (url: string) => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly close: () => Promise<void>;
  readonly evaluate: <A extends unknown[], R>(use: (...given: A) => R | Promise<R>, ...given: A) => Promise<R>;
}
