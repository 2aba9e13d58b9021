// The last few calls, as they come in.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "@/api/client";
import { ago } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { Problem, SkeletonRows } from "@/ui/states";
import { OutcomeDot } from "../requests/outcome";

export function Latest() {
  const { zone } = usePreferences();
  const now = useNow(5_000);
  const latest = useQuery(
    api.queryOptions("get", "/api/v1/requests", { params: { query: { limit: 7 } } }, { refetchInterval: 2_000 }),
  );
  return (
    <Card className="min-w-0">
      <CardHead title="Latest requests">
        <Link to="/requests" className="text-sm font-medium text-accent-ink hover:underline">
          All requests
        </Link>
      </CardHead>
      {latest.isPending ? <SkeletonRows rows={5} label="Loading the latest requests" /> : null}
      {latest.isError && !latest.data ? <Problem error={latest.error} retry={() => void latest.refetch()} /> : null}
      <ul className="divide-y pb-1">
        {latest.data?.items.map((row) => (
          <li key={row.id}>
            <Link to="/requests" search={{ id: row.id }} className="flex h-11 items-center gap-3 px-4 text-sm outline-offset-[-2px] hover:bg-sunken">
              <OutcomeDot outcome={row.outcome} />
              <span className="min-w-0 flex-1 truncate font-medium">{row.model_served ?? row.model_requested}</span>
              <Amount value={row.cost} currency={row.currency} />
              <span className="num w-20 text-right text-xs text-muted">{ago(row.started_at, now, zone)}</span>
            </Link>
          </li>
        ))}
      </ul>
      {latest.data?.items.length === 0 ? <p className="px-4 pb-5 text-muted">None yet.</p> : null}
    </Card>
  );
}
