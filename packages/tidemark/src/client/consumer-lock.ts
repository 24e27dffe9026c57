/**
 * One feed at a time for each named consumer, over all tabs: by a Web Lock, and where there are none, within this realm,
 * which is then all there is.
 */
type Release = () => void;
export type ConsumerLocks = Pick<LockManager, "request">;

const here = new Map<string, Promise<void>>();

/** Resolves when it is our turn; whoever has it calls the answer when done. @throws the signal's reason */
export function oneAtATime(
  database: string,
  consumer: string,
  signal: AbortSignal,
  locks: ConsumerLocks | undefined,
): Promise<Release> {
  const name = `tidemark/${database}/consumer/${consumer}`;
  return locks ? locked(locks, name, signal) : inTurn(name, signal);
}

function locked(locks: ConsumerLocks, name: string, signal: AbortSignal): Promise<Release> {
  return new Promise((resolve, reject) => {
    const held = (): Promise<void> => new Promise((release) => resolve(() => release()));
    locks.request(name, { signal }, held).catch(reject);
  });
}

async function inTurn(name: string, signal: AbortSignal): Promise<Release> {
  signal.throwIfAborted();
  const before = here.get(name) ?? Promise.resolve();
  let release: Release = () => undefined;
  const done = new Promise<void>((resolve) => (release = resolve));
  const turn = before.then(() => done);
  here.set(name, turn);
  void turn.then(() => here.get(name) === turn && here.delete(name));
  try {
    await Promise.race([before, aborted(signal)]);
    return release;
  } catch (e) {
    release();
    throw e;
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
