/** The database that is filled. */
import { collection, createDatabase } from "tidemark";

export const stressName = "tidemark-demo-stress";

interface Filling {
  readonly id: number;
  readonly text: string;
}

export const stress = createDatabase({
  name: stressName,
  collections: { filling: collection<Filling>()({ key: "id" }) },
});
