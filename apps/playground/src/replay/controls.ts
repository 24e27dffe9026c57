/** How much is replayed, at which pace, on which scale; and the buttons. */
import { html, type TemplateResult } from "lit";
import { formatCount } from "../format.ts";
import type { Scale } from "./axis.ts";
import type { ReplayState } from "./replay.ts";

export interface ReplayChoices {
  readonly limit: "all" | "10000" | "2000";
  readonly pace: "group" | "each" | "watch";
  readonly scale: Scale;
}

interface Controls {
  readonly choices: ReplayChoices;
  /** Transactions of the recording, once it is loaded. */
  readonly total: number | undefined;
  readonly state: ReplayState | "loading";
  readonly choose: (choices: Partial<ReplayChoices>) => void;
  start(): void;
  toggle(): void;
  stop(): void;
}

const paces: readonly (readonly [ReplayChoices["pace"], string])[] = [
  ["group", "16 on their way at once"],
  ["each", "One after another, each awaited"],
  ["watch", "40 a second, to watch"],
];
const scales: readonly (readonly [Scale, string])[] = [
  ["linear", "Linear"],
  ["log", "Logarithmic"],
];

export function replayControls(controls: Controls): TemplateResult {
  const { choices, total, state, choose } = controls;
  const isUnderWay = state === "running" || state === "paused";
  const limits: readonly (readonly [ReplayChoices["limit"], string])[] = [
    ["all", total === undefined ? "All of it" : `All ${formatCount(total)} edits`],
    ["10000", "First 10,000"],
    ["2000", "First 2,000"],
  ];
  const select = <T extends string>(
    label: string,
    test: string,
    chosen: T,
    options: readonly (readonly [T, string])[],
    choice: (value: T) => Partial<ReplayChoices>,
    isFixed: boolean,
  ): TemplateResult =>
    html`<label class=${test === "replay-pace" ? "wide" : "grow"}
      >${label}
      <select
        data-test=${test}
        ?disabled=${isFixed}
        @change=${(e: Event) => choose(choice((e.currentTarget as HTMLSelectElement).value as T))}
      >
        ${options.map(([value, text]) => html`<option value=${value} ?selected=${value === chosen}>${text}</option>`)}
      </select>
    </label>`;
  const isFixed = isUnderWay || state === "loading";
  return html`<form
    class="controls"
    @submit=${(e: Event) => {
      e.preventDefault();
      controls.start();
    }}
  >
    <div class="buttons">
      ${
        isUnderWay
          ? html`<button type="button" data-test="replay-pause" @click=${() => controls.toggle()}>
                ${state === "paused" ? "Go on" : "Pause"}
              </button>
              <button type="button" data-test="replay-stop" @click=${() => controls.stop()}>Stop</button>`
          : html`<button type="submit" class="primary" data-test="replay-start" ?disabled=${state === "loading"}>
              ${state === "loading" ? "Loading…" : "Replay the edits"}
            </button>`
      }
    </div>
    ${select("How much", "replay-limit", choices.limit, limits, (limit) => ({ limit }), isFixed)}
    ${select("Pace", "replay-pace", choices.pace, paces, (pace) => ({ pace }), isFixed)}
    ${select("Scale", "replay-scale", choices.scale, scales, (scale) => ({ scale }), false)}
  </form>`;
}
