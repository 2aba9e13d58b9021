// The live list as a hook: polls the head while the page is visible, fetches the past on demand. The joined list is
// kept in the cache, so that coming back to the screen finds it where it was.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { client } from "@/api/client";
import type { RequestRow } from "@/api/types";
import { type RequestFilters, toQuery } from "@/lib/filters";
import { emptyList, type LiveList, withHead, withOlder } from "@/lib/live";

const POLL_MS = 1_000;
const PAGE = 50;

type List = LiveList<RequestRow>;

export function useLiveRequests(filters: RequestFilters, live: boolean, now: number) {
  const cache = useQueryClient();
  // Ranges begin and end on whole hours or days, so the clock changes this text only there.
  const identity = JSON.stringify(toQuery(filters, now));
  const query = useMemo(() => JSON.parse(identity) as ReturnType<typeof toQuery>, [identity]);
  const queryKey = useMemo(() => ["live-requests", identity] as const, [identity]);
  const [older, setOlder] = useState<{ of: string; busy: boolean; error: unknown }>({ of: "", busy: false, error: null });

  const head = useQuery({
    queryKey,
    queryFn: async ({ signal }): Promise<List> => {
      const { data } = await client.GET("/api/v1/requests", { params: { query: { ...query, limit: PAGE } }, signal });
      const before = cache.getQueryData<List>(queryKey) ?? emptyList<RequestRow>();
      return data ? withHead(before, data) : before;
    },
    refetchInterval: live ? POLL_MS : false,
    refetchIntervalInBackground: false,
    structuralSharing: false,
    staleTime: 0,
  });

  const cursor = head.data?.older;
  const loadOlder = useCallback(async () => {
    if (!cursor) return;
    setOlder({ of: identity, busy: true, error: null });
    try {
      const { data } = await client.GET("/api/v1/requests", { params: { query: { ...query, limit: PAGE, cursor } } });
      if (data) cache.setQueryData<List>(queryKey, (list) => (list ? withOlder(list, data) : list));
      setOlder({ of: identity, busy: false, error: null });
    } catch (error) {
      setOlder({ of: identity, busy: false, error });
    }
  }, [cache, cursor, identity, query, queryKey]);

  return { head, list: head.data ?? null, loadOlder, older: older.of === identity ? older : { busy: false, error: null } };
}
