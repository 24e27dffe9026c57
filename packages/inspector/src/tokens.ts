/** The colours of both themes: those of the demo. */
import { css, type CSSResult } from "lit";

export const light: CSSResult = css`
  --page: #f3f6f7;
  --surface: #fff;
  --sunk: #eaf0f2;
  --ink: #10232d;
  --muted: #4b606b;
  --line: #d5dfe3;
  --line-strong: #8399a3;
  --accent: #0a6673;
  --on-accent: #fff;
  --water: #0a667322;
  --second: #8a3a0c;
  --third: #5a4fa0;
  --danger: #a4262c;
  --danger-ground: #a4262c14;
  --focus: #1b6fd0;
  color-scheme: light;
`;
export const dark: CSSResult = css`
  --page: #0b151b;
  --surface: #121f27;
  --sunk: #0e1920;
  --ink: #e3ecef;
  --muted: #9db1ba;
  --line: #24363f;
  --line-strong: #64808d;
  --accent: #62cbc6;
  --on-accent: #06201f;
  --water: #62cbc62b;
  --second: #f2a069;
  --third: #b4a9f5;
  --danger: #ff9c97;
  --danger-ground: #ff9c9718;
  --focus: #7db8ff;
  color-scheme: dark;
`;
