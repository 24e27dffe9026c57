import { css, type CSSResult } from "lit";
import { dark, light } from "./tokens.ts";

/** Tokens, ground and controls. */
export const shared: CSSResult = css`
  :host {
    ${light}
    --sans:
      Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans",
      sans-serif;
    --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "Liberation Mono", monospace;
    display: block;
    position: relative;
    container: inspector / inline-size;
    box-sizing: border-box;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 10px;
    background: var(--surface);
    color: var(--ink);
    font: 400 14px/1.5 var(--sans);
    font-variant-numeric: tabular-nums;
    text-align: start;
  }

  @media (prefers-color-scheme: dark) {
    :host(:not([theme="light"])) {
      ${dark}
    }
  }

  :host([theme="dark"]) {
    ${dark}
  }

  :host([hidden]) {
    display: none;
  }

  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }

  h2,
  h3,
  p,
  dl,
  dd,
  ol,
  ul,
  figure {
    margin: 0;
    padding: 0;
  }

  ol,
  ul {
    list-style: none;
  }

  h2 {
    font-size: 17px;
    font-weight: 650;
    letter-spacing: -0.01em;
    line-height: 1.3;
    overflow-wrap: anywhere;
  }

  h3 {
    font-size: 14px;
    font-weight: 650;
    line-height: 1.4;
  }

  [hidden] {
    display: none !important;
  }

  :focus-visible {
    outline: 2px solid var(--focus);
    outline-offset: 2px;
  }

  code,
  .mono {
    font-family: var(--mono);
    font-size: 0.93em;
    overflow-wrap: anywhere;
  }

  .muted {
    color: var(--muted);
  }

  .note {
    max-width: 76ch;
    color: var(--muted);
    font-size: 13px;
    text-wrap: pretty;
  }

  .stack {
    display: grid;
    gap: 20px;
    min-width: 0;
  }

  .stack > *,
  .part > * {
    min-width: 0;
  }

  .part {
    display: grid;
    gap: 10px;
    min-width: 0;
  }

  .heading {
    display: grid;
    gap: 2px;
  }

  .across {
    display: flex;
    flex-wrap: wrap;
    gap: 4px 16px;
    align-items: center;
    justify-content: space-between;
  }

  /* Controls */
  button,
  select,
  input {
    font: inherit;
    color: inherit;
  }

  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    min-height: 32px;
    padding: 4px 12px;
    border: 1px solid var(--line-strong);
    border-radius: 7px;
    background: var(--surface);
    color: var(--ink);
    font-size: 13px;
    font-weight: 550;
    line-height: 20px;
    cursor: pointer;
  }

  button:hover:not(:disabled) {
    background: var(--sunk);
  }

  button:disabled {
    border-color: var(--line);
    color: var(--muted);
    cursor: default;
  }

  button.primary:not(:disabled) {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }

  button.primary:hover:not(:disabled) {
    filter: brightness(1.08);
  }

  button.danger {
    border-color: var(--danger);
    color: var(--danger);
  }

  .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
  }

  .controls {
    display: flex;
    flex-wrap: wrap;
    gap: 10px;
    align-items: end;
  }

  label {
    display: grid;
    gap: 3px;
    color: var(--muted);
    font-size: 12.5px;
  }

  .grow {
    flex: 1 1 10rem;
    min-width: 0;
  }

  select,
  input {
    width: 100%;
    min-width: 0;
    height: 32px;
    padding-inline: 8px;
    border: 1px solid var(--line-strong);
    border-radius: 7px;
    background: var(--surface);
    color: var(--ink);
    font-size: 13.5px;
  }

  ::placeholder {
    color: var(--muted);
    opacity: 1;
  }

  @media (pointer: coarse) {
    button,
    select,
    input {
      min-height: 44px;
    }

    select,
    input {
      font-size: 16px;
    }
  }

  progress {
    display: block;
    width: 100%;
    height: 6px;
    overflow: hidden;
    appearance: none;
    border: 0;
    border-radius: 3px;
    background: var(--line);
    color: var(--accent);
  }

  progress::-webkit-progress-bar {
    background: var(--line);
  }

  progress::-webkit-progress-value {
    background: var(--accent);
  }

  progress::-moz-progress-bar {
    background: var(--accent);
  }
`;

/** The element around its panels. */
export const frame: CSSResult = css`
  .top {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 20px;
    align-items: baseline;
    justify-content: space-between;
    padding: 14px 20px 10px;
  }

  .top p {
    min-width: 0;
    color: var(--muted);
    font-size: 13px;
    overflow-wrap: anywhere;
  }

  [role="tablist"] {
    display: flex;
    padding-inline: 12px;
    border-block-end: 1px solid var(--line);
  }

  [role="tab"] {
    min-height: 38px;
    padding: 6px 12px;
    border: 0;
    border-block-end: 2px solid transparent;
    border-radius: 0;
    background: none;
    color: var(--muted);
    font-size: 14px;
  }

  [role="tab"]:focus-visible {
    outline-offset: -3px;
    border-radius: 6px;
  }

  [role="tab"][aria-selected="true"] {
    border-block-end-color: var(--accent);
    color: var(--ink);
  }

  [role="tabpanel"] {
    min-height: 300px;
    padding: 20px;
  }

  [role="tabpanel"]:focus-visible {
    outline-offset: -2px;
  }

  .nothing {
    padding: 20px;
  }

  [role="tabpanel"] > * {
    display: block;
    min-width: 0;
  }

  .alert {
    margin: 16px 20px 0;
  }

  footer {
    padding: 10px 20px;
    border-block-start: 1px solid var(--line);
    color: var(--muted);
    font-size: 12.5px;
  }

  @container inspector (width < 520px) {
    .top {
      padding: 12px 14px 8px;
    }

    [role="tablist"] {
      display: grid;
      grid-template-columns: repeat(3, 1fr);
      padding-inline: 6px;
    }

    [role="tabpanel"] {
      padding: 16px 14px;
    }

    .alert {
      margin-inline: 14px;
    }

    footer {
      padding-inline: 14px;
    }
  }
`;
