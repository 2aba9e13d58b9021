// Accounts that are being closed, by number alone, and how near each is to its deadline.
import { useQuery } from "@tanstack/react-query";
import { Eraser } from "lucide-react";
import { openErasuresQuery } from "@/api/queries";
import type { OpenErasure } from "@/api/types";
import { useNow } from "@/shell/hooks";
import { WordBadge } from "@/ui/badge";
import { Card } from "@/ui/card";
import { Moment } from "@/ui/moment";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import type { Word } from "@/lib/words";

const STATES: Record<OpenErasure["state"], Word> = {
  grace: { label: "Days of grace", meaning: "It can still be kept.", tone: "neutral" },
  erasing: { label: "Erasing", meaning: "It is being erased, step by step.", tone: "caution" },
  certified: { label: "Done", meaning: "Nothing is left, and the certificate says so.", tone: "good" },
  cancelled: { label: "Kept", meaning: "The account was kept.", tone: "neutral" },
};

export function Erasures() {
  const erasures = useQuery({ ...openErasuresQuery(), refetchInterval: 15_000 });
  const now = useNow(60_000);
  const items = erasures.data?.items ?? [];
  return (
    <Card className="overflow-clip">
      {erasures.isPending ? <SkeletonRows label="Loading the erasures" /> : null}
      {erasures.isError ? <Problem error={erasures.error} retry={() => void erasures.refetch()} /> : null}
      {erasures.data && items.length === 0 ? (
        <Empty icon={<Eraser />} title="No account is being closed">
          An account whose end was asked for stands here until its certificate is made, the one nearest to its deadline first.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Number</Th>
              <Th>State</Th>
              <Th className="hidden md:table-cell">Asked for</Th>
              <Th className="hidden sm:table-cell">Erasing begins</Th>
              <Th end>Nothing left by</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((erasure) => {
              const isLate = Date.parse(erasure.deadline_at) < now;
              return (
                <tr key={erasure.id}>
                  <Td className="max-w-40 truncate font-mono text-xs" title={erasure.id}>
                    {erasure.id}
                  </Td>
                  <Td>
                    <WordBadge word={STATES[erasure.state]} />
                  </Td>
                  <Td className="hidden text-muted md:table-cell">
                    <Moment at={erasure.requested_at} />
                  </Td>
                  <Td className="hidden text-muted sm:table-cell">{erasure.begun_at ? <Moment at={erasure.begun_at} /> : <Moment at={erasure.erase_at} ahead />}</Td>
                  <Td end className={isLate ? "font-semibold text-worse" : undefined}>
                    <Moment at={erasure.deadline_at} ahead={!isLate} />
                    {isLate ? " late" : ""}
                  </Td>
                </tr>
              );
            })}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}
