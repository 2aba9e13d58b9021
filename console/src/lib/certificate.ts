// A certificate of deletion as it can be read. What is not known of it is shown as it came.

export interface Certificate {
  number: string;
  requestedAt?: string;
  begunAt?: string;
  erasedAt?: string;
  deadlineAt?: string;
  steps: { name: string; details: string }[];
  tag?: string;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function inWords(value: unknown): string {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (typeof value !== "object" || value === null) return "";
  return Object.entries(value)
    .map(([name, part]) => `${name.replaceAll("_", " ")} ${inWords(part)}`.trim())
    .join(", ");
}

/** `null` where the answer is no certificate. */
export function readCertificate(value: unknown): Certificate | null {
  if (typeof value !== "object" || value === null) return null;
  const parts = value as Record<string, unknown>;
  const number = text(parts.number);
  if (number === undefined) return null;
  const { steps } = parts;
  const known = typeof steps === "object" && steps !== null ? Object.entries(steps) : [];
  return {
    number,
    requestedAt: text(parts.requested_at),
    begunAt: text(parts.begun_at),
    erasedAt: text(parts.erased_at),
    deadlineAt: text(parts.deadline_at),
    steps: known.map(([name, details]) => ({ name, details: inWords(details) })),
    tag: text(parts.tag),
  };
}
