/** Keeps this page for when there is no network. It comes last: nobody waits for it. */
const patienceMs = 3000;

export function keepOffline(): void {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  const keep = (): void => {
    // Where it is refused, as in some private windows, the page works as before, but needs its server.
    navigator.serviceWorker.register(`${import.meta.env.BASE_URL}sw.js`).catch(() => undefined);
  };
  addEventListener("load", () => setTimeout(keep, patienceMs));
}
