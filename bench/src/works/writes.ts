import { makeItems } from "../items.ts";
import { eachTimed, timed } from "../timing.ts";
import type { Work } from "./work.ts";

/** New records, one after the other, each awaited. */
export const puts: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const single = makeItems(fixture.sizes.awaited, 3);
  const put = await eachTimed(single, (item) => items.insert(item));
  fixture.items = [...fixture.items, ...single];
  await fixture.prove();
  return { put };
};

/** New records, a call for each, all under way at once. */
export const concurrent: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const single = makeItems(fixture.sizes.concurrent, 4);
  const concurrentPuts = await timed(() => Promise.all(single.map((item) => items.insert(item))));
  fixture.items = [...fixture.items, ...single];
  await fixture.prove();
  return { concurrentPuts };
};

/** Every second record, in one call. */
export const deletes: Work = async (fixture) => {
  const { items } = await fixture.filled();
  const gone = fixture.items.filter((_, i) => i % 2 === 0).map(({ id }) => id);
  const deleteHalf = await timed(() => items.deleteMany(gone));
  fixture.items = fixture.items.filter((_, i) => i % 2 === 1);
  await fixture.prove();
  return { deleteHalf };
};
