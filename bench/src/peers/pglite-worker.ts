/** PGlite in its worker, as its documentation advises: the page that leads runs it, the others ask there. */
import { PGlite } from "@electric-sql/pglite";
import { worker } from "@electric-sql/pglite/worker";

await worker({
  init: ({ dataDir, relaxedDurability }) =>
    PGlite.create({ dataDir: dataDir ?? "", relaxedDurability: relaxedDurability === true }),
});
