/** What a replay has come to, in figures and in words. */
import { html, type TemplateResult } from "lit";
import type { Metrics } from "tidemark";
import { formatBytes, formatCount, formatDuration, formatTimes } from "../format.ts";
import { storedBytes } from "../surface/sampler.ts";
import type { Replay } from "./replay.ts";

export interface Outcome {
  readonly isEqual: boolean;
  readonly characters: number;
  readonly isWhole: boolean;
}

export interface Figures {
  readonly replay: Replay | undefined;
  /** Of the database, when last looked at. */
  readonly metrics: Metrics | undefined;
  /** What keeping every version will have taken in the end. */
  readonly expectedBytes: number | undefined;
  /** Commits a second, of the last moments. */
  readonly recentRate: number | undefined;
  readonly outcome: Outcome | undefined;
}

export function legend({ replay, metrics, expectedBytes }: Figures): TemplateResult {
  return html`<dl class="legend">
    <div class="naive">
      <dt><i></i>Every version kept whole</dt>
      <dd>
        <b data-test="replay-naive">${formatBytes(replay?.naiveBytes ?? 0)}</b>
        <span data-test="replay-expected"
          >${expectedBytes === undefined ? "" : `of ${formatBytes(expectedBytes)} in the end`}</span
        >
      </dd>
    </div>
    <div class="held">
      <dt><i></i>Held by Tidemark</dt>
      <dd><b data-test="replay-held">${metrics ? formatBytes(storedBytes(metrics)) : "–"}</b></dd>
    </div>
  </dl>`;
}

export function figures(now: Figures): TemplateResult {
  const { replay, metrics } = now;
  return html`<dl class="figures">
    <div>
      <dt>Commits</dt>
      <dd data-test="replay-commits">${formatCount(replay?.committed ?? 0)}</dd>
    </div>
    <div>
      <dt>Commits a second</dt>
      <dd data-test="replay-rate">${rate(now)}</dd>
    </div>
    <div>
      <dt>Versions held</dt>
      <dd data-test="replay-versions">${metrics ? formatCount(metrics.versions) : "–"}</dd>
    </div>
    <div>
      <dt>Space saved</dt>
      <dd data-test="replay-factor">${factor(now)}</dd>
    </div>
  </dl>`;
}

/** While it runs, of the last second; at its end, of all of it. */
function rate({ replay, recentRate }: Figures): string {
  if (replay && replay.state !== "running" && replay.activeMs > 0) {
    return formatCount((replay.committed * 1000) / replay.activeMs);
  }
  return recentRate === undefined ? "–" : formatCount(recentRate);
}

function factor({ replay, metrics }: Figures): string {
  const naive = replay?.naiveBytes ?? 0;
  if (naive === 0 || !metrics) return "–";
  const times = naive / storedBytes(metrics);
  return times < 1 ? "–" : `${formatTimes(times)}×`;
}

export function verdict({ replay, outcome }: Figures): TemplateResult | string {
  if (!replay) return "A blog post as it was typed from May to August 2021, edit by edit.";
  if (replay.state === "stopped") return `Stopped after ${formatCount(replay.committed)} transactions.`;
  if (!outcome) return replay.state === "paused" ? "Paused." : "Each keystroke is a transaction on one record.";
  const characters = formatCount(outcome.characters);
  if (!outcome.isEqual) return "The text read back differs from what was typed.";
  return html`<b>The text is right.</b> The ${characters} characters read back from the database equal
    ${outcome.isWhole ? "the end of the recording" : "what was typed"}, after ${formatCount(replay.committed)} commits
    in ${formatDuration(replay.activeMs)}.`;
}
