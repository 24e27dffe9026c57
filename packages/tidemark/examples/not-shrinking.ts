import { collection, describeGc, openDatabase } from "tidemark";

type Reading = { id: string; value: number };
const db = await openDatabase({ name: "sensor", collections: { readings: collection<Reading>()({ key: "id" }) } });

const explanation = await db.gc.explain();
console.log(describeGc(explanation)); // tab 3f… holds back 38 MB: at 812, 4000 commits behind; releasing it frees 38 MB

const frozen = explanation.holders.find(
  ({ kind, isSelf, bytesHeld }) => kind === "pin" && !isSelf && bytesHeld > 2 ** 25,
);
if (frozen) await db.gc.evict(frozen.id);

const { deleted, bytesReclaimed, heldBack } = await db.gc.run();
console.log(`${deleted} versions went, ${bytesReclaimed} bytes`);
for (const { kind, owner, bytes } of heldBack) console.log(`${kind} ${owner} still keeps ${bytes} bytes`);
