import { port } from "./port.ts";
import { openSite } from "./site.ts";

/**
 * Serves the built playground to all tests. It lives in the test runner's process and dies with it: a `webServer` of
 * Playwright outlives a runner that is killed, keeps the port, and spoils the next run.
 */
const servePlayground = async (): Promise<() => Promise<void>> => (await openSite({}, port)).close;
export default servePlayground;
