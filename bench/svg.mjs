// A picture of panels, two in a row: its colours, for light and dark, and its title.

const [columns, head] = [2, 44];
export const panelWidth = 440;

/** @param {string} title @param {readonly string[]} panels @param {number} height of each */
export function pictureOf(title, panels, height) {
  const body = panels.map(
    (panel, i) =>
      `<g transform="translate(${(i % columns) * panelWidth} ${head + Math.floor(i / columns) * height})">${panel}</g>`,
  );
  const size = `${columns * panelWidth} ${head + Math.ceil(panels.length / columns) * height}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size}" role="img" aria-label="${escaped(title)}">
<style>
  text { font: 11px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 12px; }
  .value { fill: #57606a; }
  rect { fill: #8c959f; }
  path { fill: none; stroke: #8c959f; stroke-width: 1.5; }
  .grid { stroke: #d0d7de; stroke-width: 0.5; }
  rect.own { fill: #0a7ea4; }
  path.own { stroke: #0a7ea4; stroke-width: 2.5; }
  text.own { fill: #0a7ea4; font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .value { fill: #9da7b3; }
    rect { fill: #6e7681; }
    path { stroke: #6e7681; }
    .grid { stroke: #30363d; }
    rect.own { fill: #39b8e0; }
    path.own { stroke: #39b8e0; }
    text.own { fill: #39b8e0; }
  }
</style>
<text class="title" x="8" y="20">${escaped(title)}</text>
${body.join("\n")}
</svg>
`;
}

/** @param {string} text */
export const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
