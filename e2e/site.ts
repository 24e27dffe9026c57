/** The built playground at an origin of its own, which can do more than serve files, and can go away. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { preview } from "vite";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface Site {
  readonly origin: string;
  /** Nobody answers there any more, and connections that are kept alive end. */
  readonly close: () => Promise<void>;
}

/** With these answers at these paths, before the playground's files; at port 0, which is some free one. */
export async function openSite(answers: Readonly<Record<string, Answer>> = {}, port = 0): Promise<Site> {
  const server = await preview({
    root: fileURLToPath(new URL("../apps/playground", import.meta.url)),
    preview: { port, strictPort: port !== 0 },
    plugins: [
      {
        name: "answers",
        configurePreviewServer: ({ middlewares }) => {
          middlewares.use((request, _response, next) => {
            // A 304 of this server lacks Cross-Origin-Embedder-Policy, and without it WebKit loads no worker.
            delete request.headers["if-none-match"];
            next();
          });
          for (const [path, answer] of Object.entries(answers)) middlewares.use(path, answer);
        },
      },
    ],
  });
  const address = server.httpServer.address();
  if (address === null || typeof address === "string") throw new Error("it listens at no port");
  return { origin: `http://localhost:${address.port}`, close: () => server.close() };
}

/** What is stored under this origin is thrown away by the browser, under the pages that are open. */
export const clearsSiteData: Answer = (_request, response) => {
  response.writeHead(200, { "content-type": "text/html", "clear-site-data": '"storage"' }).end("<!doctype html>");
};
