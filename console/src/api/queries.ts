// What several screens ask for, under one cache key each.
import { useMemo } from "react";
import { api } from "./client";
import type { Key, Settlement } from "./types";

/** Lists that a person makes by hand are short; the first page of the largest size is all of them. */
const ALL = { params: { query: { limit: 200 } } } as const;

export const keysQuery = () => api.queryOptions("get", "/api/v1/keys", ALL);
export const connectionsQuery = () => api.queryOptions("get", "/api/v1/connections", ALL);
export const providersQuery = () => api.queryOptions("get", "/api/v1/providers", {}, { staleTime: 600_000 });
/** Clouds that charge for calls through compatible endpoints at their addresses: nobody connects to them by name. */
export const CLOUDS = [
  { name: "bedrock", display_name: "Amazon Bedrock" },
  { name: "azure", display_name: "Azure" },
];
/** The models that served calls lately. */
export const modelsQuery = () =>
  api.queryOptions("get", "/api/v1/spend/breakdown", { params: { query: { by: "model", limit: 200 } } }, { staleTime: 60_000 });
export const billsQuery = () => api.queryOptions("get", "/api/v1/bills", ALL);
export const invoiceSourcesQuery = () => api.queryOptions("get", "/api/v1/invoice-sources", ALL);
export const awsConnectionsQuery = () => api.queryOptions("get", "/api/v1/aws-connections", ALL);

/** What no rule knows: of one bill, or of every bill that counts. */
export const driftQuery = (billId?: string) =>
  api.queryOptions("get", "/api/v1/bills/drift", { params: { query: { ...(billId ? { bill_id: billId } : {}), limit: 200 } } });
/** Whose each key is. */
export const keyLabelsQuery = () => api.queryOptions("get", "/api/v1/key-labels", { params: { query: { limit: 10_000 } } });
export const settlementsQuery = (measure: Settlement["measure"]) =>
  api.queryOptions("get", "/api/v1/settlements", { params: { query: { measure, limit: 200 } } });

/** The name of a key by its id; the id itself while it is not known. */
export function useKeyNames(): (id: string) => string {
  const { data } = api.useQuery("get", "/api/v1/keys", ALL, { staleTime: 30_000 });
  return useMemo(() => {
    const names = new Map((data?.items ?? []).map((key: Key) => [key.id, key.name]));
    return (id: string) => names.get(id) ?? id;
  }, [data]);
}

/** The same for connections. */
export function useConnectionNames(): (id: string) => string {
  const { data } = api.useQuery("get", "/api/v1/connections", ALL, { staleTime: 30_000 });
  return useMemo(() => {
    const names = new Map((data?.items ?? []).map((connection) => [connection.id, connection.name]));
    return (id: string) => names.get(id) ?? id;
  }, [data]);
}

export const sessionQuery = () => api.queryOptions("get", "/api/v1/session");
export const userQuery = () => api.queryOptions("get", "/api/v1/user");
export const signInsQuery = () => api.queryOptions("get", "/api/v1/user/sign-ins");
export const membersQuery = () => api.queryOptions("get", "/api/v1/members");
export const invitationsQuery = () => api.queryOptions("get", "/api/v1/invitations");
export const singleSignOnQuery = () => api.queryOptions("get", "/api/v1/single-sign-on");
export const tenantQuery = () => api.queryOptions("get", "/api/v1/tenant");
export const signInOptionsQuery = () => api.queryOptions("get", "/api/v1/sign-in-options", {}, { staleTime: 600_000 });
export const settingsQuery = () => api.queryOptions("get", "/api/v1/settings");
export const privacyQuery = () => api.queryOptions("get", "/api/v1/privacy");
export const supportGrantsQuery = () => api.queryOptions("get", "/api/v1/support-grants", { params: { query: { limit: 20 } } });
export const recipientsQuery = () => api.queryOptions("get", "/api/v1/recipients");
export const slackChannelsQuery = () => api.queryOptions("get", "/api/v1/slack-channels");
export const webhookEndpointsQuery = () => api.queryOptions("get", "/api/v1/webhook-endpoints");
export const eventKindsQuery = () => api.queryOptions("get", "/api/v1/event-kinds", {}, { staleTime: 600_000 });
export const messageKindsQuery = () => api.queryOptions("get", "/api/v1/message-kinds", {}, { staleTime: 600_000 });
export const budgetsQuery = () => api.queryOptions("get", "/api/v1/budgets");
export const closureQuery = () => api.queryOptions("get", "/api/v1/account/closure");
export const schedulesQuery = () => api.queryOptions("get", "/api/v1/operator/schedules");
export const operatorStatsQuery = () => api.queryOptions("get", "/api/v1/operator/stats");
export const priceStatusQuery = () => api.queryOptions("get", "/api/v1/operator/prices");
export const openErasuresQuery = () => api.queryOptions("get", "/api/v1/operator/erasures");

/** How a list that is read page by page continues. */
export const BY_CURSOR = {
  pageParamName: "cursor",
  // Nothing for the first page; `undefined` would become 0.
  initialPageParam: null,
  getNextPageParam: (page: { next_cursor?: string | null }) => page.next_cursor ?? undefined,
} as const;
