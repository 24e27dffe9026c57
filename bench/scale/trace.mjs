// What a browser's threads did, as the browser itself traces it.

/** @typedef {{ name: string, ph: string, pid: number, tid: number, dur?: number, tdur?: number, args?: { name?: string } }} TraceEvent */

export class Trace {
  /** @type {import("playwright").CDPSession} */
  #session;

  /** @param {import("playwright").CDPSession} session */
  constructor(session) {
    this.#session = session;
  }

  /** @param {import("playwright").BrowserContext} context */
  static async begin(context) {
    const session = await context.browser()?.newBrowserCDPSession();
    if (!session) throw new Error("This browser cannot be traced");
    await session.send("Tracing.start", {
      transferMode: "ReportEvents",
      traceConfig: { includedCategories: ["toplevel", "__metadata"], recordMode: "recordAsMuchAsPossible" },
    });
    return new Trace(session);
  }

  /**
   * Ends it. How long the tasks of all workers' threads were, in milliseconds: by the clock, and in processor time, which
   * is less where the machine let somebody else have the core.
   * @returns {Promise<readonly { ms: number, cpuMs: number }[]>}
   */
  async workerTasks() {
    const events = await this.#events();
    /** @param {TraceEvent} event */
    const threadOf = ({ pid, tid }) => `${pid}/${tid}`;
    const workers = new Set(
      events
        .filter(({ name, args }) => name === "thread_name" && args?.name?.startsWith("DedicatedWorker"))
        .map(threadOf),
    );
    const tasks = events.filter((event) => event.name.endsWith("RunTask") && workers.has(threadOf(event)));
    if (tasks.length === 0) throw new Error("The trace tells of no worker");
    return tasks.map(({ dur = 0, tdur = 0 }) => ({ ms: dur / 1000, cpuMs: tdur / 1000 }));
  }

  /** @returns {Promise<readonly TraceEvent[]>} */
  async #events() {
    /** @type {TraceEvent[]} */
    const events = [];
    this.#session.on("Tracing.dataCollected", ({ value }) => {
      for (const event of value) events.push(/** @type {TraceEvent} */ (/** @type {unknown} */ (event)));
    });
    const complete = new Promise((resolve) => this.#session.once("Tracing.tracingComplete", resolve));
    await this.#session.send("Tracing.end");
    await complete;
    await this.#session.detach();
    return events;
  }
}
