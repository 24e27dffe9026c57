// Keeps all files of one build, and answers with them. What stands before this in the built file: `files`, `version`.
/* global files, version */
const prefix = "tidemark-demo/";
const kept = prefix + version;

addEventListener("install", (e) => e.waitUntil(caches.open(kept).then((cache) => cache.addAll(files))));

// Only when no page of the build before is left.
addEventListener("activate", (e) => e.waitUntil(dropOthers()));

addEventListener("fetch", (e) => {
  const { method, url } = e.request;
  if (method === "GET" && new URL(url).origin === location.origin) e.respondWith(answer(e.request));
});

async function dropOthers() {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => name.startsWith(prefix) && name !== kept).map((name) => caches.delete(name)),
  );
}

async function answer(request) {
  const cache = await caches.open(kept);
  // What a page shows is in its address, and it is one file whatever that says, and whoever asks for it.
  return (await cache.match(request, { ignoreSearch: true, ignoreVary: true })) ?? fetch(request);
}
