// What several screens ask for, under one cache key each.
import { useMemo } from "react";
import { api } from "./client";
import type { Key } from "./types";

/** Lists that a person makes by hand are short; the first page of the largest size is all of them. */
const ALL = { params: { query: { limit: 200 } } } as const;

export const keysQuery = () => api.queryOptions("get", "/api/v1/keys", ALL);
export const connectionsQuery = () => api.queryOptions("get", "/api/v1/connections", ALL);
export const providersQuery = () => api.queryOptions("get", "/api/v1/providers", {}, { staleTime: 600_000 });
/** The models that served calls lately. */
export const modelsQuery = () =>
  api.queryOptions("get", "/api/v1/spend/breakdown", { params: { query: { by: "model", limit: 200 } } }, { staleTime: 60_000 });
export const billsQuery = () => api.queryOptions("get", "/api/v1/bills", ALL);

/** The name of a key by its id; the id itself while it is not known. */
export function useKeyNames(): (id: string) => string {
  const { data } = api.useQuery("get", "/api/v1/keys", ALL, { staleTime: 30_000 });
  return useMemo(() => {
    const names = new Map((data?.items ?? []).map((key: Key) => [key.id, key.name]));
    return (id: string) => names.get(id) ?? id;
  }, [data]);
}
