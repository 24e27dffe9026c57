// Bytes written and bytes held for each byte of the user's: exactly, on the simulated medium, and as Chromium's stores say.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { batchesOf, Tally, workloads } from "../src/scale/workloads.ts";
import { figure, megabytes, times } from "./report.mjs";
import { origin } from "./rows.mjs";

const repository = fileURLToPath(new URL("../..", import.meta.url));
/** A program of the engine's own, which is run and not imported. */
const replayer = path.join(repository, "packages/tidemark/src/replay.test-support.ts");

/** @typedef {import("../src/scale/workloads.ts").Workload} Workload */
/** What the replayer prints. @typedef {{ writtenBytes: number, peakBytes: number, endBytes: number, records: string[] }} Replayed */

/** @param {import("./rows.mjs").Bench} bench @returns {Promise<import("./report.mjs").Row[]>} */
export async function amplification({ launch, settings }) {
  const rows = [];
  for (const workload of /** @type {Workload[]} */ (Object.keys(workloads))) {
    const { replayed, tally } = await replay(workload, settings.records);
    const inChromium = await launch(async (served) => {
      const page = await served.page(origin, "scale.html");
      return page.evaluate(
        ([name, records]) => scale.amplify(name, records),
        /** @type {const} */ ([workload, settings.records]),
      );
    });
    rows.push(
      figure(
        `${workloads[workload]}: written for each byte of the user's`,
        `${times(replayed.writtenBytes / tally.userBytes)} (${megabytes(replayed.writtenBytes)} for ${megabytes(tally.userBytes)})`,
      ),
      figure("… held for each live byte, at most and in the end", held(replayed, tally)),
      figure("… the same in Chromium's stores", held(inChromium, tally)),
    );
  }
  return rows;
}

/** @param {{ peakBytes: number, endBytes: number }} of @param {Tally} tally */
const held = ({ peakBytes, endBytes }, { liveBytes }) =>
  `${times(peakBytes / liveBytes)} (${megabytes(peakBytes)}), ${times(endBytes / liveBytes)} (${megabytes(endBytes)}) of ${megabytes(liveBytes)}`;

/** @param {Workload} workload @param {number} records */
async function replay(workload, records) {
  const child = spawn(process.execPath, [replayer], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
  const tally = new Tally();
  child.stdin.write(`${JSON.stringify({ key: "id", indexes: { group: "group", code: "code" } })}\n`);
  for (const batch of batchesOf(workload, records)) {
    tally.note(batch);
    if (!child.stdin.write(`${JSON.stringify(batch)}\n`)) await Promise.race([once(child.stdin, "drain"), exited]);
  }
  child.stdin.end();
  const [code] = await exited;
  if (code !== 0) throw new Error(`Replaying ${workload} ended with ${String(code)}`);
  /** @type {Replayed} */
  const replayed = JSON.parse(printed);
  const { length } = replayed.records;
  const isSame =
    length === tally.kept.size && replayed.records.every((text) => tally.kept.get(JSON.parse(text).id) === text);
  if (!isSame) throw new Error(`After ${workload} ${length} records are there, and not those of ${tally.kept.size}`);
  return { replayed, tally };
}
