// A bill by one of its dimensions.
import { useQuery } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { BillMeasure, View } from "./search";

/** The most groups of a currency that are asked for. */
export const MOST_GROUPS = 200;

export function useBreakdown(billId: string, by: View, measure: BillMeasure = "unblended") {
  return useQuery(
    api.queryOptions(
      "get",
      "/api/v1/bills/{id}/breakdown",
      { params: { path: { id: billId }, query: { by, measure, limit: MOST_GROUPS } } },
      { staleTime: 60_000 },
    ),
  );
}
