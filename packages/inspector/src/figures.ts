import { css, type CSSResult } from "lit";

/** Figures, tables and states, as all panels show them. */
export const figures: CSSResult = css`
  /* Figures */
  .tiles {
    display: grid;
    grid-template-columns: repeat(2, minmax(0, 1fr)); /* six tiles, and no row with a hole */
    gap: 1px;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--line);
  }

  @container inspector (width >= 540px) {
    .tiles {
      grid-template-columns: repeat(3, minmax(0, 1fr));
    }
  }

  @container inspector (width >= 1000px) {
    .tiles {
      grid-template-columns: repeat(6, minmax(0, 1fr));
    }
  }

  .tiles > div {
    display: grid;
    align-content: start;
    gap: 1px;
    padding: 10px 14px;
    background: var(--surface);
  }

  .tiles dt {
    color: var(--muted);
    font-size: 12.5px;
  }

  .tiles dd {
    font-size: 20px;
    font-weight: 600;
    letter-spacing: -0.015em;
    line-height: 1.3;
    overflow-wrap: anywhere;
  }

  .tiles dd + dd {
    color: var(--muted);
    font-size: 12.5px;
    font-weight: 400;
    letter-spacing: 0;
    line-height: 1.4;
  }

  .tag {
    display: inline-block;
    padding: 0 7px;
    border: 1px solid var(--line-strong);
    border-radius: 999px;
    color: var(--muted);
    font-size: 12px;
    line-height: 18px;
    white-space: nowrap;
  }

  .tag.good {
    border-color: var(--accent);
    color: var(--accent);
  }

  .tag.bad {
    border-color: var(--danger);
    color: var(--danger);
  }

  .tag.warm {
    border-color: var(--second);
    color: var(--second);
  }

  /* Tables: on a narrow screen every row becomes a card that names its figures. */
  table {
    width: 100%;
    border-collapse: collapse;
    font-size: 13px;
    line-height: 1.4;
  }

  th {
    padding: 5px 10px;
    color: var(--muted);
    font-size: 12px;
    font-weight: 500;
    text-align: start;
    vertical-align: bottom;
  }

  tbody th {
    color: var(--ink);
    font-size: 13px;
    font-weight: 550;
    vertical-align: top;
  }

  td {
    padding: 5px 10px;
    vertical-align: top;
    overflow-wrap: anywhere;
  }

  th code {
    font-weight: 400;
  }

  td.keep {
    white-space: nowrap;
  }

  :is(td, th):first-child {
    padding-inline-start: 0;
  }

  :is(td, th):last-child {
    padding-inline-end: 0;
  }

  thead :is(td, th) {
    border-block-end: 1px solid var(--line);
  }

  tbody tr + tr > * {
    border-block-start: 1px solid var(--line);
  }

  :is(td, th).number {
    text-align: end;
    white-space: nowrap;
  }

  td small {
    display: block;
    color: var(--muted);
    font-size: 12px;
  }

  @container inspector (width < 620px) {
    thead {
      position: absolute;
      display: block;
      width: 1px;
      height: 1px;
      overflow: hidden;
      clip-path: inset(50%);
    }

    table,
    tbody {
      display: block;
    }

    tbody tr {
      display: grid;
      grid-template-columns: 1fr 1fr;
      gap: 2px 16px;
      padding-block: 10px;
    }

    tbody tr + tr {
      border-block-start: 1px solid var(--line);
    }

    tbody tr > :is(td, th),
    tbody tr + tr > :is(td, th) {
      padding: 0;
      border: 0;
    }

    tbody th,
    td.whole {
      grid-column: 1 / -1;
    }

    td.number,
    td.keep {
      text-align: start;
      white-space: normal;
    }

    td[data-name]::before {
      display: block;
      color: var(--muted);
      font-size: 12px;
      content: attr(data-name);
    }
  }

  /* States */
  .empty {
    display: grid;
    gap: 6px;
    justify-items: start;
    padding: 20px 16px;
    border: 1px dashed var(--line);
    border-radius: 8px;
    color: var(--muted);
    text-wrap: pretty;
  }

  .empty b {
    color: var(--ink);
    font-weight: 600;
  }

  .failure {
    display: grid;
    gap: 8px;
    justify-items: start;
    padding: 10px 14px;
    border-inline-start: 3px solid var(--danger);
    border-radius: 4px;
    background: var(--danger-ground);
    overflow-wrap: anywhere;
  }

  .skeleton {
    display: grid;
    gap: 14px;
    padding-block: 8px;
  }

  .skeleton i {
    height: 14px;
    border-radius: 4px;
    background: var(--sunk);
  }

  .skeleton i:nth-child(3n + 2) {
    width: 82%;
  }

  .skeleton i:nth-child(3n) {
    width: 64%;
  }
`;
