/** WebKit without its driver, under which it keeps nothing on the disk: its pages do what they were made to, and tell us. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { webkitPaths } from "../tools/browser-paths.mjs";
import type { Answer } from "./site.ts";
import type { Display } from "./webdriver.ts";

/** `starter`: a command that starts the one that follows it. */
export function startBrowser(
  profile: string,
  display: Display,
  url: string,
  starter: readonly string[] = [],
): ChildProcess {
  const home = (what: string): string => path.join(profile, what);
  const [command, ...args] = [...starter, webkitPaths()!.browser, url];
  return spawn(command, args, {
    detached: true, // a group of its own: the process that stores things is a child
    stdio: "ignore",
    env: {
      ...process.env,
      DISPLAY: display.name,
      XDG_DATA_HOME: home("data"),
      XDG_CACHE_HOME: home("cache"),
      XDG_CONFIG_HOME: home("config"),
    },
  });
}

/** The lab page, which does this at once. */
export const pageThat = (script: () => Promise<void>): Answer => {
  const lab = readFileSync(fileURLToPath(new URL("../apps/playground/dist/lab.html", import.meta.url)), "utf8");
  return (_request, response) => {
    response
      .writeHead(200, { "content-type": "text/html" })
      .end(`${lab}<script type="module">(${script.toString()})();</script>`);
  };
};

/** For what the page posts, as JSON. */
export const tellsOf =
  (use: (value: never) => void): Answer =>
  (request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      use(JSON.parse(body) as never);
      response.writeHead(200).end();
    });
  };
