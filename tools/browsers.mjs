// Makes sure that a Chromium and a Firefox are there for the tests, or says what to install; and a WebKit, where it can be.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chromium, firefox } from "playwright";
import { browserPath, webkitPackages, webkitPaths } from "./browser-paths.mjs";

/** @typedef {import("./browser-paths.mjs").BrowserName} BrowserName */
/** @type {readonly BrowserName[]} */
const names = ["chromium", "firefox"];
const debianPackages = { chromium: "chromium", firefox: "firefox-esr" };
const playwrightOwn = { chromium, firefox };

/** @param {BrowserName} name */
const pathInUse = (name) => browserPath(name) ?? playwrightOwn[name].executablePath();
const missing = () => names.filter((name) => !existsSync(pathInUse(name)));
// A path given in the environment that does not exist is for its giver to put right.
const installable = () => missing().filter((name) => browserPath(name) === undefined);

/** @param {string} command @param {readonly string[]} args */
const run = (command, args) => {
  const shell = process.platform === "win32";
  return spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], shell }).status === 0;
};

const isRootOnDebian = () =>
  process.getuid?.() === 0 &&
  existsSync("/usr/bin/apt-get") &&
  // Not its relatives: on Ubuntu these packages are empty shells around snap.
  /^ID="?debian"?$/m.test(readFileSync("/etc/os-release", "utf8"));

/** @param {readonly string[]} packages */
const installFromDebian = (packages) => {
  process.env["DEBIAN_FRONTEND"] = "noninteractive";
  const quietly = ["-qq", "-o", "DPkg::Lock::Timeout=300"];
  if (run("apt-get", [...quietly, "update"])) run("apt-get", [...quietly, "install", "-y", ...packages]);
};

const advice = () => {
  const wanted = missing();
  return [
    `The tests need ${wanted.join(" and ")}. Any one of these helps:`,
    `  apt-get install ${wanted.map((name) => debianPackages[name]).join(" ")}`,
    `  npx playwright install --with-deps ${wanted.join(" ")}`,
    `  ${wanted.map((name) => `${name.toUpperCase()}=/path/to/${name}`).join(" ")} npm test`,
  ].join("\n");
};

if (isRootOnDebian()) {
  if (installable().length > 0) installFromDebian(installable().map((name) => debianPackages[name]));
  if (!webkitPaths()) installFromDebian(webkitPackages); // apart: without it the others are tested all the same
}
if (installable().length > 0) run("pnpm", ["exec", "playwright", "install", ...installable()]);
for (const name of names) console.log(`${name}: ${pathInUse(name)}${existsSync(pathInUse(name)) ? "" : " (missing)"}`);
const webkit = webkitPaths();
console.log(`webkit: ${webkit?.browser ?? "(missing)"}`);
if (!webkit) {
  console.warn(`WITHOUT WEBKIT ITS TESTS ARE SKIPPED. On Debian: apt-get install ${webkitPackages.join(" ")}`);
}
if (missing().length > 0) {
  console.error(advice());
  process.exit(1);
}
