import { sharedNow } from "./stamp.ts";

const patienceMs = 100;

/** When the next frame is made; a page that makes none, being covered or hidden, counts from now. */
export function nextFrame(): Promise<number> {
  const now = sharedNow();
  if (document.hidden) return Promise.resolve(now);
  return new Promise((resolve) => {
    requestAnimationFrame(() => resolve(sharedNow()));
    setTimeout(() => resolve(now), patienceMs);
  });
}
