/** What a cycle leaves behind, where it has to be the same for whoever came to it, and however. */
import type { GcRecord } from "./gc/journal.ts";
import { floorIn, readFloor } from "./mvcc/read-floor.ts";
import { decodeRoot } from "./segments/manifest.ts";
import { readPages, readRoot, rowsManifest } from "./segments/manifest-rows.ts";
import { type Storage, valueOf } from "./storage/contract.ts";
import { decodeFence, readFence } from "./wal/log.ts";
import { openRow } from "./wal/row.ts";

/** All but ids, and who did it when. */
export async function outcomeIn(storage: Storage): Promise<unknown> {
  const [rootRow, pageRows, blockRows, floorRow, fenceRow, recordRows] = await storage.read([
    readRoot,
    readPages,
    { kind: "range", store: "blocks", range: {} },
    readFloor,
    readFence,
    { kind: "range", store: "meta", range: { from: "gc/record/", to: "gc/record/~" } },
  ]);
  const manifest = rowsManifest(decodeRoot(valueOf(rootRow)!), pageRows!);
  const bytes = new Map(blockRows!.map(({ key, value }) => [key, Buffer.from(value).toString("base64")]));
  const levels = manifest.levels.map((level) =>
    [...level.blocks()].map(({ id, ...info }) => ({ ...info, mark: manifest.marks.get(id), bytes: bytes.get(id) })),
  );
  const { seq: fence } = decodeFence(valueOf(fenceRow)!);
  const records = recordRows!.map(({ key: id, value }) => {
    const {
      kind,
      step,
      floor,
      points,
      checkpoint: at,
      versions,
      bytes: size,
      hash,
    } = JSON.parse(openRow(value, String(id), "record").text()) as GcRecord;
    return { kind, step, floor, points, at, versions, size, hash };
  });
  return { levels, cursors: manifest.cursors, floor: floorIn(floorRow).seq, fence, records };
}
