// Which browsers the tests and benchmarks drive, and how: the one place that decides it.
//
// A browser named by CHROMIUM or FIREFOX comes first, then the system's package (Debian), then Playwright's own.
import { existsSync, readdirSync } from "node:fs";

/** @typedef {"chromium" | "firefox"} BrowserName */

const debianPaths = { chromium: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr" };

/**
 * The executable to drive; `undefined` where Playwright's own serves.
 * @param {BrowserName} name
 * @returns {string | undefined}
 */
export const browserPath = (name) =>
  process.env[name.toUpperCase()] || (existsSync(debianPaths[name]) ? debianPaths[name] : undefined);

export const chromiumArgs = [
  "--no-sandbox", // it cannot run as root otherwise, as in a container
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// Without an answer to its prompt `navigator.storage.persist()` never settles.
const firefoxUserPrefs = {
  "dom.storageManager.prompt.testing": true,
  "dom.storageManager.prompt.testing.allow": true,
};

const chromium = browserPath("chromium");
const firefox = browserPath("firefox");

/** Launch options for Playwright's `chromium`. */
export const chromiumLaunch = { args: chromiumArgs, ...(chromium && { executablePath: chromium }) };

/** Launch options for Playwright's `firefox`. */
export const firefoxLaunch = {
  firefoxUserPrefs,
  // A stock Firefox speaks WebDriver BiDi, which is this channel; Playwright's own build does not.
  ...(firefox && { channel: "moz-firefox", executablePath: firefox }),
};

/** What it takes to drive WebKit; Debian's packages have it, and nobody else has it for Linux. */
export const webkitPackages = ["webkit2gtk-driver", "xvfb"];

/**
 * WebKit's driver, its browser, and a screen that nobody sees; `undefined` where one of them is missing.
 * @returns {{ driver: string, browser: string, screen: string } | undefined}
 */
export const webkitPaths = () => {
  const [driver, screen] = ["/usr/bin/WebKitWebDriver", "/usr/bin/Xvfb"];
  if (!existsSync(driver) || !existsSync(screen)) return undefined;
  const places = readdirSync("/usr/lib").flatMap((triplet) =>
    ["webkit2gtk-4.1", "webkitgtk-6.0"].map((api) => `/usr/lib/${triplet}/${api}/MiniBrowser`),
  );
  const browser = places.find((path) => existsSync(path));
  return browser === undefined ? undefined : { driver, browser, screen };
};
