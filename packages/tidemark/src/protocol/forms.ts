/** What crosses between page and worker around requests, as it is checked on arrival. */
import { type ErrorCode, errorCodes } from "../base/errors.ts";
import {
  either,
  fields,
  finite,
  flag,
  type Form,
  listOf,
  object,
  oneOf,
  optional,
  text,
  whole,
} from "../codec/form.ts";
import { catalogForm } from "../codec/schema.ts";
import type { Failure, HostEvent, Listed, OfferAnswer, Opened } from "./messages.ts";

export const failureForm: Form<Failure> = fields<Failure>({
  code: oneOf<ErrorCode>(...errorCodes),
  message: text,
  details: object,
});

type Done<T extends { readonly ok: boolean }> = Extract<T, { readonly ok: true }>;
const failed = fields<Extract<Opened, { readonly ok: false }>>({ ok: oneOf(false), error: failureForm });
const pending = fields<NonNullable<Done<Opened>["pending"]>>({ kind: oneOf("seed", "migrate"), from: whole });
const opened = {
  ok: oneOf(true),
  catalog: optional(catalogForm),
  database: optional(whole),
  pending: optional(pending),
};

export const openedForm: Form<Opened> = either(fields<Done<Opened>>(opened), failed);
export const listedForm: Form<Listed> = either(
  fields<Done<Listed>>({ ok: oneOf(true), databases: listOf(fields({ name: text, version: whole })) }),
  failed,
);
export const offerAnswerForm: Form<OfferAnswer> = fields<OfferAnswer>({ usedMs: optional(finite) });

const events: Readonly<Record<HostEvent["type"], Form>> = {
  touched: fields({ handles: listOf(whole) }),
  catalog: fields({ catalog: catalogForm }),
  outdated: fields({ reason: oneOf("schema", "format"), version: optional(whole) }),
  upgrade: fields({ collection: text, index: text, done: whole, total: whole }),
  closed: fields({ reason: text }),
  gc: fields({ job: optional(whole), event: fields<object>({ type: oneOf("progress", "started", "ended") }) }),
  work: fields({ waits: flag }),
  error: fields({ error: failureForm }),
};

/** `undefined`: it is none. */
export function asHostEvent(raw: unknown): HostEvent | undefined {
  if (!object(raw) || !("type" in raw) || !text(raw.type) || !Object.hasOwn(events, raw.type)) return undefined;
  return events[raw.type as HostEvent["type"]](raw) ? (raw as HostEvent) : undefined;
}
