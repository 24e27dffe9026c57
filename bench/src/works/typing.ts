import { rest, timed } from "../timing.ts";
import { usageBytes } from "./space.ts";
import type { Work } from "./work.ts";

interface Session {
  readonly startContent: string;
  readonly txns: readonly { readonly patches: readonly (readonly [at: number, deleted: number, inserted: string])[] }[];
}
/** A peer that takes longer types less. */
const maxMs = 60_000;

/** A recorded typing session: one document, its whole text written and awaited for each keystroke. */
export const typing: Work = async (fixture) => {
  const { startContent, txns } = await loadSession();
  const db = await fixture.peer.open("typing", ["listId"]); // not warmed up: the disk is to hold nothing else
  const document = { id: "text", listId: 0, amount: 0, done: false, createdAt: new Date(0) };
  let title = startContent;
  await db.items.insert({ ...document, title });
  let typed = 0;
  const ms = await timed(async () => {
    const until = performance.now() + maxMs;
    for (const { patches } of txns.slice(0, fixture.sizes.keystrokes)) {
      if (performance.now() > until) break;
      for (const [at, deleted, inserted] of patches) title = title.slice(0, at) + inserted + title.slice(at + deleted);
      await db.items.replace({ ...document, title });
      typed++;
    }
  });
  await rest(fixture.sizes.quietMs);
  const typingBytes = await usageBytes();
  const again = await fixture.reopened(db, ["listId"]);
  const found = await again.items.get(document.id);
  if (found?.title !== title) throw new Error(`${fixture.peer.title} does not have the text that was typed`);
  await again.close();
  return { typing: ms / typed, typingBytes };
};

async function loadSession(): Promise<Session> {
  const { body } = await fetch("/data/typing-session.json.gzip");
  if (!body) throw new Error("The typing session came without content.");
  return (await new Response(body.pipeThrough(new DecompressionStream("gzip"))).json()) as Session;
}
