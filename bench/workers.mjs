// A page's workers over the DevTools protocol.

/** @typedef {(method: string, params?: object) => Promise<any>} Send `undefined` where the worker ended meanwhile */

/**
 * Attaches to each worker of the page as it starts, and tells which there are.
 * @param {import("playwright").CDPSession} session the page's
 * @returns {Promise<() => Send[]>} oldest first
 */
export async function attachedWorkers(session) {
  /** @type {Map<string, { send: Send, waiting: Map<number, (result: unknown) => void> }>} */
  const workers = new Map();
  let lastId = 0;
  session.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => {
    const { id, result, error } = JSON.parse(message);
    const waiting = workers.get(sessionId)?.waiting;
    waiting?.get(id)?.(result ?? error);
    waiting?.delete(id);
  });
  session.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
    if (targetInfo.type !== "worker") return;
    /** @type {Map<number, (result: unknown) => void>} */
    const waiting = new Map();
    workers.set(sessionId, {
      waiting,
      send: (method, params = {}) => {
        const id = ++lastId;
        const answer = new Promise((resolve) => waiting.set(id, resolve));
        const message = JSON.stringify({ id, method, params });
        session.send("Target.sendMessageToTarget", { sessionId, message }).catch(() => waiting.get(id)?.(undefined));
        return answer;
      },
    });
  });
  session.on("Target.detachedFromTarget", ({ sessionId }) => {
    for (const resolve of workers.get(sessionId)?.waiting.values() ?? []) resolve(undefined);
    workers.delete(sessionId);
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  return () => [...workers.values()].map(({ send }) => send);
}
