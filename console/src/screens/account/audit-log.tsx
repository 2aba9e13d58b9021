// What was done in the account, by whom and when, and the proof of it. No secret and no e-mail address stands in it.
import { ScrollText } from "lucide-react";
import { api } from "@/api/client";
import { BY_CURSOR } from "@/api/queries";
import { Card } from "@/ui/card";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { AuditProof } from "./audit-proof";
import { AuditTable } from "./audit-table";

export function AuditLog() {
  const events = api.useInfiniteQuery("get", "/api/v1/audit-events", { params: { query: { limit: 50 } } }, BY_CURSOR);
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="space-y-4">
      <AuditProof />
      <Card className="overflow-clip">
        {events.isPending ? <SkeletonRows label="Loading what was done" /> : null}
        {events.isError && !events.data ? <Problem error={events.error} retry={() => void events.refetch()} /> : null}
        {events.data && items.length === 0 ? (
          <Empty icon={<ScrollText />} title="Nothing was done yet">
            Whoever signs in, makes a key, adds somebody or changes a setting is written down here.
          </Empty>
        ) : null}
        {items.length > 0 ? <AuditTable items={items} /> : null}
        <More shown={items.length} {...events} />
      </Card>
    </div>
  );
}
