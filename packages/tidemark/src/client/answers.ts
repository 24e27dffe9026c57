import { isTidemarkError, TidemarkError } from "../base/errors.ts";
import type { Form } from "../codec/form.ts";

/** What the worker answers to `call`, looked at before it is believed. @throws INTERNAL where it is something else */
export async function answerOf<T>(call: string, answer: PromiseLike<unknown>, form: Form<T>): Promise<T> {
  let given: unknown;
  try {
    given = await answer;
  } catch (e) {
    throw unanswered(call, e);
  }
  if (form(given)) return given;
  throw unanswered(call);
}

/** How a call ends that neither side could carry out as it should. */
export function unanswered(call: string, cause?: unknown): TidemarkError {
  if (isTidemarkError(cause)) return cause;
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new TidemarkError("INTERNAL", `The worker did not answer '${call}'${why}`, { call }, cause);
}
