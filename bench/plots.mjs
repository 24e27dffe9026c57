// Pictures of the medians: a panel for each work, a bar for each peer, on one logarithmic scale, since they are far apart.
import { middleOf } from "./measured.mjs";
import { curves } from "./curves.mjs";
import { rowsOf } from "./rows.mjs";
import { escaped, panelWidth, pictureOf } from "./svg.mjs";

/** @typedef {import("./measured.mjs").Measured} Measured */
/** @typedef {import("./rows.mjs").Row} Row */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {{ name: string, value: number, shown: string, own: boolean }} Bar */

const pictures = [
  {
    file: "writes.svg",
    title: "Writes, less is better",
    figures: ["bulkOne", "bulkThree", "put", "concurrentPuts", "hotUpdates", "deleteHalf", "typing", "blocked"],
  },
  {
    file: "reads.svg",
    title: "Reads, less is better",
    figures: ["scanCold", "scan", "keysCold", "keys", "get", "range", "count", "countIndex"],
  },
  {
    file: "ycsb.svg",
    title: "YCSB, more is better",
    figures: ["ycsbA", "ycsbB", "ycsbC", "ycsbD", "ycsbE", "ycsbF"],
  },
  {
    file: "space.svg",
    title: "Space, opening and live queries, less is better",
    figures: ["fileBytes", "pageBytes", "workerBytes", "hotBytes", "open1000", "open100000", "live", "liveTabs"],
  },
];

const [labelWidth, valueWidth, barHeight, gap] = [130, 80, 16, 30];

/** @param {Measured} measured @returns {{ file: string, title: string, svg: string }[]} */
export function plots(measured) {
  const rows = rowsOf(measured.sizes);
  const compared = pictures.flatMap(({ file, title, figures }) => {
    const panels = figures.flatMap((figure) => {
      const row = rows.find((each) => each.figure === figure);
      const bars = row ? barsOf(measured, row) : [];
      return row && bars.length > 1 ? [{ title: panelTitle(rows, row), bars }] : [];
    });
    return panels.length === 0 ? [] : [{ file, title, svg: drawn(title, panels) }];
  });
  return [...compared, ...curves(measured)];
}

/** A title that goes on from the one above it says so with dots. @param {readonly Row[]} rows @param {Row} row */
function panelTitle(rows, row) {
  if (!row.title.startsWith("… ")) return row.title;
  const above = rows.slice(0, rows.indexOf(row)).findLast(({ title }) => !title.startsWith("… "));
  return `${above?.title.replace(/, [^,]*$/, "")}, ${row.title.slice(2)}`;
}

/** @param {Measured} measured @param {Row} row @returns {Bar[]} */
const barsOf = ({ peers, rounds }, { figure, shown }) =>
  /** @type {PeerName[]} */ (Object.keys(peers)).flatMap((name) => {
    const value = middleOf(rounds, name, figure);
    if (Number.isNaN(value) || value <= 0) return [];
    return { name: peers[name]?.title ?? name, value, shown: shown(value), own: name.startsWith("tidemark") };
  });

/** @param {string} title @param {readonly { title: string, bars: readonly Bar[] }[]} panels */
function drawn(title, panels) {
  const height = Math.max(...panels.map(({ bars }) => bars.length)) * barHeight + gap;
  return pictureOf(`${title} (logarithmic)`, panels.map(panelOf), height);
}

/** @param {{ title: string, bars: readonly Bar[] }} panel */
function panelOf({ title, bars }) {
  const logs = bars.map(({ value }) => Math.log10(value));
  const from = Math.floor(Math.min(...logs) - 0.3);
  const room = panelWidth - labelWidth - valueWidth;
  const lines = bars.map(({ name, shown, own }, i) => {
    const y = 8 + i * barHeight;
    const width = (((logs[i] ?? from) - from) / (Math.max(...logs) - from)) * room;
    return [
      `<text x="${labelWidth - 6}" y="${y + 11}" text-anchor="end">${escaped(name)}</text>`,
      `<rect${own ? ' class="own"' : ""} x="${labelWidth}" y="${y + 2}" width="${width.toFixed(1)}" height="${barHeight - 5}" rx="2"/>`,
      `<text class="value" x="${(labelWidth + width + 5).toFixed(1)}" y="${y + 11}">${escaped(shown)}</text>`,
    ].join("");
  });
  return `<text class="title" x="8" y="0">${escaped(title)}</text>\n${lines.join("\n")}`;
}
