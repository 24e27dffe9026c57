/** Standard Schema, version 1 (standardschema.dev): what zod, valibot, arktype and others have in common. */

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type TypesOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>;
export type SchemaInput<S extends StandardSchema> = TypesOf<S>["input"];
export type SchemaOutput<S extends StandardSchema> = TypesOf<S>["output"];

export function isStandardSchema(value: unknown): value is StandardSchema {
  // Some vendors' schemas are functions.
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { "~standard": standard } = value as { "~standard"?: { validate?: unknown } };
  return typeof standard?.validate === "function";
}
