// Sums that spending is held against, and the hours that their own past does not explain.
import { useQuery } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { Gauge, Plus } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { budgetsQuery, settingsQuery, useKeyNames } from "@/api/queries";
import type { Budget } from "@/api/types";
import { scopeInWords } from "@/lib/budget";
import { exactMoney, share, shortMoney } from "@/lib/money";
import { fullDay } from "@/lib/time";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Confirm } from "@/ui/dialog";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Anomalies } from "./anomalies";
import { BudgetMeter } from "./budget-meter";
import { CreateBudgetDialog, PERIODS } from "./create-dialog";

export function BudgetsScreen() {
  const budgets = useQuery({ ...budgetsQuery(), refetchInterval: 15_000 });
  const { hash } = useLocation();
  const navigate = useNavigate();
  const creating = hash === "new";
  const setCreating = (open: boolean) => void navigate({ to: "/budgets", hash: open ? "new" : "", replace: true });
  const [ending, setEnding] = useState<Budget | null>(null);
  const items = (budgets.data?.items ?? []).toSorted((a, b) => Number(Boolean(a.ended_at)) - Number(Boolean(b.ended_at)));
  return (
    <>
      <PageHead title="Budgets" note="A word goes out when spending reaches a threshold. Calls are not blocked.">
        <Button weight="primary" onClick={() => setCreating(true)} icon={<Plus className="size-4" aria-hidden />}>
          Create a budget
        </Button>
      </PageHead>
      {budgets.isPending ? (
        <Card>
          <SkeletonRows rows={4} label="Loading the budgets" />
        </Card>
      ) : null}
      {budgets.isError ? (
        <Card>
          <Problem error={budgets.error} retry={() => void budgets.refetch()} />
        </Card>
      ) : null}
      {budgets.data && items.length === 0 ? (
        <Card>
          <Empty
            icon={<Gauge />}
            title="No budget yet"
            action={
              <Button weight="primary" onClick={() => setCreating(true)}>
                Create the first budget
              </Button>
            }
          >
            Say what a day, a week or a month may cost, for everything or for one key, provider or model. Whoever wants alerts
            is told at 50 %, 80 % and 100 %, or at the percents that you choose.
          </Empty>
        </Card>
      ) : null}
      <ul className="grid gap-3 md:grid-cols-2">
        {items.map((budget) => (
          <BudgetCard key={budget.id} budget={budget} onEnd={() => setEnding(budget)} />
        ))}
      </ul>
      <Anomalies />
      <CreateBudgetDialog open={creating} onOpenChange={setCreating} />
      <EndDialog ending={ending} onClose={() => setEnding(null)} />
    </>
  );
}

function BudgetCard({ budget, onEnd }: { budget: Budget; onEnd: () => void }) {
  const { zone } = usePreferences();
  const keyName = useKeyNames();
  const settings = useQuery(settingsQuery());
  const calendar = settings.data?.time_zone ?? zone;
  return (
    <li className={cx("flex flex-col rounded-card border bg-surface p-4 shadow-pop", budget.ended_at && "text-muted")}>
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h2 className="truncate font-semibold" title={budget.name}>
            {budget.name}
          </h2>
          <p className="break-words text-sm text-muted">
            {PERIODS[budget.period].label}, {scopeInWords(budget, keyName)}
          </p>
        </div>
        {budget.ended_at ? (
          <Badge>Ended</Badge>
        ) : (
          <Button weight="quiet" size="small" className="-mr-2.5 -mt-1.5 hover:!text-worse" onClick={onEnd} aria-label={`End ${budget.name}`}>
            End
          </Button>
        )}
      </div>
      {budget.ended_at ? (
        <p className="mt-3 text-sm">
          Of <Amount value={budget.amount} />, ended {fullDay(budget.ended_at, zone)}. It says nothing any more.
        </p>
      ) : (
        <>
          <p className="mt-3 flex flex-wrap items-baseline gap-x-1.5">
            {budget.spent || budget.unpriced_requests > 0 ? (
              <Amount value={budget.spent} className="text-xl font-semibold tracking-tight" />
            ) : (
              <span className="text-xl font-semibold tracking-tight text-muted">no call yet</span>
            )}
            <span className="text-muted">
              of <span className="num" title={exactMoney(budget.amount)}>{exactMoney(budget.amount)}</span>
            </span>
            <span className="num ml-auto font-medium">{budget.spent ? share(budget.spent, budget.amount) : "–"}</span>
          </p>
          <BudgetMeter budget={budget} />
          <p className="mt-2 text-xs text-muted">
            Since {fullDay(budget.period_start, calendar)} ({calendar})
            {budget.spent && budget.estimated && budget.spent !== budget.estimated ? `; estimated at ${shortMoney(budget.estimated)}` : ""}
            {budget.unpriced_requests > 0 ? `; ${budget.unpriced_requests.toLocaleString("en-US")} unpriced requests are not counted` : ""}
          </p>
        </>
      )}
    </li>
  );
}

function EndDialog({ ending, onClose }: { ending: Budget | null; onClose: () => void }) {
  const end = api.useMutation("delete", "/api/v1/budgets/{id}", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: budgetsQuery().queryKey });
      onClose();
    },
  });
  return (
    <Confirm
      open={ending !== null}
      onOpenChange={(open) => {
        if (open) return;
        end.reset();
        onClose();
      }}
      title={`End “${ending?.name ?? ""}”?`}
      action="End the budget"
      busy={end.isPending}
      error={end.error}
      onConfirm={() => (ending ? end.mutate({ params: { path: { id: ending.id } } }) : undefined)}
    >
      It says nothing from now on and stays in the list as ended. This cannot be undone; a new budget can take its place.
    </Confirm>
  );
}
