/** Runs a callback of the user's. What it throws is his: it is reported as uncaught and harms nobody else. */
export function callBack(callback: () => void): void {
  try {
    callback();
  } catch (e) {
    report(e);
  }
}

function report(e: unknown): void {
  const { reportError } = globalThis as { reportError?: (e: unknown) => void };
  if (typeof reportError === "function") reportError(e);
  else {
    setTimeout(() => {
      throw e;
    });
  }
}
