/** PGlite in its worker, as its documentation advises: the page that leads runs it, the others ask there. */
import { PGlite } from "@electric-sql/pglite";
import { worker } from "@electric-sql/pglite/worker";

let opened: PGlite | undefined;

// With relaxed durability its own `syncToFs` does not wait, and closing ends the worker at once: who wants what was
// written to be stored before has to ask the file system itself.
async function store(): Promise<void> {
  await opened?.fs?.syncToFs(false);
  self.postMessage("stored");
}
self.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (data === "store") void store();
});

await worker({
  init: async ({ dataDir, relaxedDurability }) => {
    opened = await PGlite.create(dataDir ?? "", { relaxedDurability: relaxedDurability === true });
    return opened;
  },
});
