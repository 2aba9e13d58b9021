// What went wrong, in the one shape the API tells it (RFC 9457), also for answers that are none: a dead network, a
// proxy's HTML page, a body that is not JSON.

import { isAboutTheSession } from "./again";

export interface FieldProblem {
  field: string;
  detail: string;
}

export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    /** The id under which the server logged the cause. */
    readonly requestId: string | undefined,
    readonly fields: readonly FieldProblem[],
  ) {
    super(detail === "" ? title : `${title}: ${detail}`);
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function fieldsOf(value: unknown): FieldProblem[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { field, pointer, detail } = entry as Record<string, unknown>;
    return [{ field: textOf(field) || textOf(pointer), detail: textOf(detail) }];
  });
}

/** The error of an answer that is not a success. */
export function readProblem(status: number, body: string, requestId: string | null): ApiError {
  let parsed: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null) parsed = value as Record<string, unknown>;
  } catch {
    // Not JSON: the status says enough.
  }
  return new ApiError(
    status,
    textOf(parsed.code) || `http_${status}`,
    textOf(parsed.title) || `The server answered ${status}`,
    textOf(parsed.detail),
    textOf(parsed.instance) || requestId || undefined,
    fieldsOf(parsed.errors),
  );
}

/** Any thrown value as an error that can be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ApiError(0, "unreachable", "Costlens cannot be reached", reason, undefined, []);
}

/** Whether a person has to sign in before anything else makes sense. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && isAboutTheSession(error.status, error.code);
}

/** Whether the account is being closed, so that everything but keeping it is refused. */
export function isClosing(error: unknown): boolean {
  return error instanceof ApiError && error.code === "account_closing";
}

/** What is wrong with one field of a form, by its name or JSON pointer. */
export function fieldProblem(error: ApiError | null, name: string): string | undefined {
  return error?.fields.find(({ field }) => field === name || field === `/${name}`)?.detail;
}
