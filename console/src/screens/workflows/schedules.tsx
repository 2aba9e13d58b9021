// What ticks by itself, when it ticks next, and the way to let it rest.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { schedulesQuery } from "@/api/queries";
import type { Schedule } from "@/api/types";
import { queueName } from "@/lib/job-words";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Moment } from "@/ui/moment";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { ReasonDialog } from "./reason-dialog";

export function Schedules() {
  const schedules = useQuery({ ...schedulesQuery(), refetchInterval: 15_000 });
  const [acting, setActing] = useState<Schedule | null>(null);
  const items = schedules.data?.items ?? [];
  return (
    <Card className="overflow-clip">
      {schedules.isPending ? <SkeletonRows label="Loading the schedules" /> : null}
      {schedules.isError ? <Problem error={schedules.error} retry={() => void schedules.refetch()} /> : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Schedule</Th>
              <Th className="hidden sm:table-cell">When</Th>
              <Th className="hidden md:table-cell">Last tick</Th>
              <Th>Next tick</Th>
              <Th end>
                <span className="sr-only">Actions</span>
              </Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((schedule) => (
              <tr key={schedule.name} className="h-12">
                <Td className="min-w-36">
                  <span className="block font-medium">{schedule.name}</span>
                  <span className="block text-xs text-muted">{queueName(schedule.queue)}</span>
                </Td>
                <Td className="hidden whitespace-nowrap sm:table-cell">
                  <code className="font-mono text-xs">{schedule.cron}</code> <span className="text-xs text-muted">{schedule.time_zone}</span>
                </Td>
                <Td className="hidden text-muted md:table-cell">
                  <Moment at={schedule.last_tick_at} />
                </Td>
                <Td>{schedule.paused ? <Badge tone="caution">Paused</Badge> : schedule.next_tick_at ? <Moment at={schedule.next_tick_at} ahead /> : "–"}</Td>
                <Td end>
                  <Button weight="quiet" size="small" onClick={() => setActing(schedule)} aria-label={`${schedule.paused ? "Resume" : "Pause"} ${schedule.name}`}>
                    {schedule.paused ? "Resume" : "Pause"}
                  </Button>
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <ActDialog schedule={acting} onClose={() => setActing(null)} />
    </Card>
  );
}

function ActDialog({ schedule, onClose }: { schedule: Schedule | null; onClose: () => void }) {
  const onSuccess = () => {
    void queryClient.invalidateQueries({ queryKey: schedulesQuery().queryKey });
    onClose();
  };
  const pause = api.useMutation("post", "/api/v1/operator/schedules/{name}/pause", { onSuccess });
  const resume = api.useMutation("post", "/api/v1/operator/schedules/{name}/resume", { onSuccess });
  const act = schedule?.paused ? resume : pause;
  const word = schedule?.paused ? "Resume" : "Pause";
  return (
    <ReasonDialog
      open={schedule !== null}
      title={`${word} “${schedule?.name ?? ""}”?`}
      description={schedule?.paused ? "It ticks again from its next time on." : "It does not tick until somebody resumes it; what it looks after stays undone."}
      action={word}
      danger={!schedule?.paused}
      busy={act.isPending}
      error={act.error}
      onClose={() => {
        act.reset();
        onClose();
      }}
      onReason={(reason) => (schedule ? act.mutate({ params: { path: { name: schedule.name } }, body: { reason } }) : undefined)}
    />
  );
}
