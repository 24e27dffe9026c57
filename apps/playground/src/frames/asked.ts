/** A tab's end of `Frame.ask`. */
import { messageOf } from "../format.ts";
import type { Answer } from "./frame.ts";

export function whenAsked(answer: (request: unknown) => Promise<unknown>): void {
  addEventListener("message", (e: MessageEvent<unknown>) => {
    const [port] = e.ports;
    if (e.source !== parent || e.origin !== location.origin || !port) return;
    const reply = (message: Answer): void => port.postMessage(message);
    answer(e.data).then(
      (value) => reply({ answer: value }),
      (error: unknown) => reply({ error: messageOf(error) }),
    );
  });
}
