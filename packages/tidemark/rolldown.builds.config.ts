/**
 * Builds of one day, side by side, for tests of what happens between them: the present one, and two of tomorrow. One of
 * those differs by the format of the whole alone, and stores everything as it is stored today, so that nothing but that
 * number keeps an older build away; in the other one every format is higher, and the protocol of page and worker.
 *
 *   rolldown -c rolldown.builds.config.ts
 */
import { defineConfig, type Plugin, type RolldownOptions } from "rolldown";
import { parts } from "./rolldown.config.ts";

type Raise = (code: string, file: string) => string | undefined;

const plusOne = (code: string, numbers: RegExp): string => {
  const raised = code.replaceAll(numbers, (_, before: string, n: string) => `${before}${Number(n) + 1}`);
  if (raised === code) throw new Error(`nothing matches ${numbers.source}`);
  return raised;
};
const raiseWhole: Raise = (code, file) =>
  file === "codec/formats.ts" ? plusOne(code, /(wholeFormat: Format = \{ format: )(\d+)/g) : undefined;
const raiseAll: Raise = (code, file) => {
  if (file === "codec/formats.ts") return plusOne(code, /(: Format = \{ format: )(\d+)/g);
  return file === "protocol/messages.ts" ? plusOne(code, /(protocolVersion = )(\d+)/g) : undefined;
};

const raising = (raise: Raise): Plugin => ({
  name: "raising",
  transform: (code, id) => raise(code, id.replace(/^.*\/tidemark\/src\//, "")),
});

const build = (name: string, raise?: Raise): RolldownOptions[] =>
  parts.map((part) => ({
    ...part,
    ...(raise ? { plugins: [raising(raise)] } : {}),
    output: {
      ...part.output,
      dir: `../../node_modules/.cache/tidemark-builds/${name}`,
      sourcemap: false,
    },
  }));

export default defineConfig([...build("present"), ...build("whole", raiseWhole), ...build("all", raiseAll)]);
