// The query string of the workflows' screen: whose work, which of it, and the job that is open.
import type { JobClass, JobState } from "@/api/types";
import { CLASSES, STATES } from "@/lib/job-words";

export const OPERATOR_VIEWS = ["jobs", "schedules", "prices", "erasures", "events"] as const;

export type OperatorView = (typeof OPERATOR_VIEWS)[number];

export interface WorkflowsSearch {
  /** The operator's view over every tenant. */
  all?: OperatorView;
  state?: JobState;
  queue?: string;
  error_class?: JobClass;
  tenant_id?: string;
  id?: string;
}

function oneOf<T extends string>(values: readonly T[], value: unknown): T | undefined {
  return values.includes(value as T) ? (value as T) : undefined;
}

function shaped(value: unknown, shape: RegExp): string | undefined {
  return typeof value === "string" && shape.test(value) ? value : undefined;
}

export function readWorkflowsSearch(search: Record<string, unknown>): WorkflowsSearch {
  const found: WorkflowsSearch = {
    all: oneOf(OPERATOR_VIEWS, search.all),
    state: oneOf(STATES, search.state),
    queue: shaped(search.queue, /^[\w.-]{1,200}$/),
    error_class: oneOf(CLASSES, search.error_class),
    tenant_id: shaped(search.tenant_id, /^ten_[0-9a-f]{32}$/),
    id: shaped(search.id, /^[0-9a-f-]{36}$/),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
