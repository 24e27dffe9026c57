// What single calls cost as the database grows: a panel for each, a curve for each peer, both scales logarithmic.
import { middleOf } from "./measured.mjs";
import { countsOf, growing } from "./rows.mjs";
import { escaped, pictureOf } from "./svg.mjs";
import { grouped, time } from "./tables.mjs";

/** @typedef {import("./measured.mjs").Measured} Measured */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {{ count: number, ms: number }} Point */
/** @typedef {{ name: string, own: boolean, points: readonly Point[] }} Curve */

const title = "Cost by number of records, less is better";
const height = 250;
const plot = { left: 62, right: 320, top: 14, bottom: 200 };
const labelHeight = 12;

/** @param {Measured} measured @returns {{ file: string, title: string, svg: string }[]} */
export function curves(measured) {
  const panels = growing.flatMap(({ call, title: titleOf }) => {
    const all = curvesOf(measured, call);
    return all.length === 0 ? [] : [panelOf(titleOf("n"), all)];
  });
  return panels.length === 0 ? [] : [{ file: "growth.svg", title, svg: pictureOf(title, panels, height) }];
}

/** Of those that were measured at more than one size. @param {Measured} measured @param {string} call @returns {Curve[]} */
const curvesOf = ({ peers, rounds, sizes }, call) =>
  /** @type {PeerName[]} */ (Object.keys(peers)).flatMap((name) => {
    const points = countsOf(sizes)
      .map((count) => ({ count, ms: middleOf(rounds, name, `${call}${count}`) }))
      .filter(({ ms }) => ms > 0);
    return points.length < 2 ? [] : [{ name: peers[name]?.title ?? name, own: name === "tidemark", points }];
  });

/** @param {string} what @param {readonly Curve[]} all */
function panelOf(what, all) {
  const points = all.flatMap((curve) => curve.points);
  const x = scale(
    points.map(({ count }) => count),
    plot.left,
    plot.right,
  );
  const y = scale(
    points.map(({ ms }) => ms),
    plot.bottom,
    plot.top,
  );
  const lines = all
    .toSorted((a, b) => Number(a.own) - Number(b.own))
    .map(({ own, points: of }) => `<path${classOf(own)} d="${pathOf(of.map((p) => [x.at(p.count), y.at(p.ms)]))}"/>`);
  return [
    `<text class="title" x="8" y="4">${escaped(what)}</text>`,
    ...y.decades.map((ms) => {
      const at = y.at(ms).toFixed(1);
      const grid = `<path class="grid" d="M${plot.left} ${at}H${plot.right}"/>`;
      return `${grid}<text class="value" x="${plot.left - 6}" y="${Number(at) + 4}" text-anchor="end">${time(ms)}</text>`;
    }),
    ...x.decades.map(
      (count) =>
        `<text class="value" x="${x.at(count).toFixed(1)}" y="${plot.bottom + 16}" text-anchor="middle">${grouped(count)}</text>`,
    ),
    ...lines,
    ...labels(all, y),
  ].join("\n");
}

/** @typedef {{ at: (value: number) => number, decades: readonly number[] }} Scale `decades`: the powers of ten on it */
/** @param {readonly number[]} values @param {number} from @param {number} to @returns {Scale} */
function scale(values, from, to) {
  const logs = values.map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...logs) + 1e-9), Math.ceil(Math.max(...logs) - 1e-9)];
  return {
    at: (value) => from + ((Math.log10(value) - low) / Math.max(1, high - low)) * (to - from),
    decades: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
  };
}

/** Names beside the ends of their curves, none over another. @param {readonly Curve[]} all @param {Scale} y */
function labels(all, y) {
  let least = -Infinity;
  return all
    .map(({ name, own, points }) => ({ name, own, at: y.at(points.at(-1)?.ms ?? 1) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ name, own, at }) => {
      least = Math.max(at, least + labelHeight);
      return `<text${classOf(own)} x="${plot.right + 8}" y="${(least + 4).toFixed(1)}">${escaped(name)}</text>`;
    });
}

/** @param {boolean} own */
const classOf = (own) => (own ? ' class="own"' : "");
/** @param {readonly (readonly [number, number])[]} points */
const pathOf = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
