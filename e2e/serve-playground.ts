import { fileURLToPath } from "node:url";
import { preview } from "vite";

/**
 * Serves the built playground to all tests. It lives in the test runner's process and dies with it: a `webServer` of
 * Playwright outlives a runner that is killed, keeps the port, and spoils the next run.
 */
const servePlayground = async (): Promise<() => Promise<void>> => {
  const server = await preview({ root: fileURLToPath(new URL("../apps/playground", import.meta.url)) });
  return () => server.close();
};
export default servePlayground;
