/** In a worker: given a word of shared memory, it stands still until that word is changed, and answers nobody. */
addEventListener("message", (e: MessageEvent<unknown>) => {
  if (!(e.data instanceof Int32Array)) return;
  e.stopImmediatePropagation();
  Atomics.wait(e.data, 0, 0);
});
