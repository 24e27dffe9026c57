/** The engine under test, as its doors give it: this program is run on builds with a planted bug too. */
import type * as Doors from "tidemark";
import type * as Testing from "tidemark/testing";

export type Engine = Pick<typeof Doors, "collection" | "RetentionPolicy" | "TidemarkError" | "isTidemarkError"> &
  Pick<typeof Testing, "World" | "Verifier">;
