// What a run leaves, and what is taken from it.
import { median } from "./tables.mjs";

/** @typedef {import("./src/timing.ts").Figures} Figures */
/** @typedef {import("./src/peers/all.ts").PeerName} PeerName */
/** @typedef {Partial<Record<PeerName, Figures>>} Round */
/**
 * @typedef {object} Measured
 * @property {string} at
 * @property {string} where
 * @property {import("./works.mjs").Sizes} sizes
 * @property {number} jsonBytes of all records
 * @property {Partial<Record<PeerName, { title: string, answer: string, isStored: boolean }>>} peers
 * @property {readonly Round[]} rounds
 * @property {readonly Figures[]} floors
 * @property {Partial<Record<PeerName, import("./bundle.mjs").Bundle>>} bundles
 */

/** @param {readonly Figures[]} all @param {string} figure */
export const middle = (all, figure) =>
  median(all.map((figures) => figures[figure]).filter((value) => value !== undefined));

/** @param {readonly Round[]} rounds @param {PeerName} peer @param {string} figure */
export const middleOf = (rounds, peer, figure) =>
  middle(
    rounds.map((round) => round[peer] ?? {}),
    figure,
  );

/**
 * How many times as fast Tidemark is, in each round in which both were measured.
 * @param {readonly Round[]} rounds @param {PeerName} peer @param {string} figure @param {boolean} [more]
 */
export const ratios = (rounds, peer, figure, more = false) =>
  rounds.flatMap((round) => {
    const [own, other] = [round.tidemark?.[figure], round[peer]?.[figure]];
    return own === undefined || other === undefined ? [] : more ? own / other : other / own;
  });
