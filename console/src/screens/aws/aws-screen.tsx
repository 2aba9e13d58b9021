// The AWS accounts whose bills are read by themselves: how each is, and what AWS delivered.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronLeft, CloudDownload, Plus } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { awsConnectionsQuery } from "@/api/queries";
import type { AwsConnection } from "@/api/types";
import { AWS_STATE_WORDS, isMoving } from "@/lib/aws-words";
import { ago } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Empty, Problem, ProblemNote, SkeletonRows } from "@/ui/states";
import { ConnectDialog } from "./connect-dialog";
import { Months } from "./months";
import { Setup } from "./setup";

export function AwsScreen() {
  const accounts = useQuery({
    ...awsConnectionsQuery(),
    refetchInterval: ({ state }) => ((state.data?.items ?? []).some((one) => isMoving(one.state)) ? 3_000 : 30_000),
  });
  const [adding, setAdding] = useState(false);
  const items = accounts.data?.items ?? [];
  return (
    <>
      <Link to="/bills" className="mb-2 inline-flex items-center gap-1 rounded text-sm font-medium text-muted hover:text-ink">
        <ChevronLeft className="size-4" aria-hidden /> Bills
      </Link>
      <PageHead title="AWS accounts" note="Bills that are read from your own bucket, through a role that you make and may remove.">
        <Button weight="primary" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
          Connect an account
        </Button>
      </PageHead>
      {accounts.isPending ? (
        <Card>
          <SkeletonRows rows={4} label="Loading the accounts" />
        </Card>
      ) : null}
      {accounts.isError ? (
        <Card>
          <Problem error={accounts.error} retry={() => void accounts.refetch()} />
        </Card>
      ) : null}
      {accounts.data && items.length === 0 ? (
        <Card>
          <Empty
            icon={<CloudDownload />}
            title="No AWS account connected"
            action={
              <Button weight="primary" onClick={() => setAdding(true)}>
                Connect the first account
              </Button>
            }
          >
            One role, made by a CloudFormation stack in your account, lets the cost reports of one folder be read, and
            nothing else. Deleting the stack ends it at once.
          </Empty>
        </Card>
      ) : null}
      <ul className="grid grid-cols-1 gap-3">
        {items.map((account) => (
          <Account key={account.id} account={account} />
        ))}
      </ul>
      <ConnectDialog open={adding} onOpenChange={setAdding} />
    </>
  );
}

const again = () => void queryClient.invalidateQueries({ queryKey: awsConnectionsQuery().queryKey });

/** What may be done with an account, each by its own address. */
function useActs() {
  const told = { onSuccess: again };
  return {
    test: api.useMutation("post", "/api/v1/aws-connections/{id}/test", told),
    pause: api.useMutation("post", "/api/v1/aws-connections/{id}/pause", told),
    resume: api.useMutation("post", "/api/v1/aws-connections/{id}/resume", told),
    reconnect: api.useMutation("post", "/api/v1/aws-connections/{id}/reconnect", told),
  };
}

interface Act {
  isPending: boolean;
  mutate: (call: { params: { path: { id: string } } }) => void;
}

function ActButton({ act, id, children }: { act: Act; id: string; children: string }) {
  return (
    <Button size="small" busy={act.isPending} onClick={() => act.mutate({ params: { path: { id } } })}>
      {children}
    </Button>
  );
}

function Account({ account }: { account: AwsConnection }) {
  const { zone } = usePreferences();
  const now = useNow(10_000);
  const [ending, setEnding] = useState(false);
  const acts = useActs();
  const refused = Object.values(acts).find((act) => act.error)?.error;
  const isOver = account.state === "revoked";
  return (
    <li className="rounded-card border bg-surface p-4 shadow-pop">
      <div className="flex flex-wrap items-center gap-3">
        <div className="min-w-0 flex-[1_1_16rem]">
          <h2 className="num font-semibold">{account.account_id}</h2>
          <p className="font-mono text-xs text-muted [overflow-wrap:anywhere]">
            {account.bucket}/{account.prefix}/{account.report_name}
            {account.region ? `, ${account.region}` : ""}
          </p>
        </div>
        <WordBadge word={AWS_STATE_WORDS[account.state]} />
        <div className="flex flex-wrap gap-2">
          {isOver ? (
            <ActButton act={acts.reconnect} id={account.id}>
              Connect anew
            </ActButton>
          ) : null}
          {account.state === "paused" ? (
            <ActButton act={acts.resume} id={account.id}>
              Resume
            </ActButton>
          ) : null}
          {isOver || account.state === "paused" ? null : (
            <>
              <ActButton act={acts.test} id={account.id}>
                Test now
              </ActButton>
              <ActButton act={acts.pause} id={account.id}>
                Pause
              </ActButton>
            </>
          )}
          {isOver ? null : (
            <Button weight="danger" size="small" onClick={() => setEnding(true)}>
              End
            </Button>
          )}
        </div>
      </div>
      {refused ? <Problem error={refused} /> : null}
      {account.problem && !isOver ? (
        <ProblemNote problem={account.problem} isFailing={account.state === "failing"} />
      ) : null}
      {isMoving(account.state) ? <Setup account={account} /> : null}
      {account.state === "failing" && account.setup ? (
        <details className="mt-3 text-sm">
          <summary className="cursor-pointer font-medium">How the role is made</summary>
          <Setup account={account} />
        </details>
      ) : null}
      <Months account={account} />
      <p className="mt-3 text-xs text-muted">
        {account.revoked_at && isOver
          ? `Ended ${ago(account.revoked_at, now, zone)}`
          : account.checked_at
            ? `Looked at ${ago(account.checked_at, now, zone)}`
            : "Not looked at yet"}
        {account.delivered_at ? `, last delivery ${ago(account.delivered_at, now, zone)}` : ""}.
      </p>
      <EndDialog account={account} open={ending} onOpenChange={setEnding} />
    </li>
  );
}

function EndDialog({ account, open, onOpenChange }: { account: AwsConnection; open: boolean; onOpenChange: (open: boolean) => void }) {
  const end = api.useMutation("delete", "/api/v1/aws-connections/{id}", {
    onSuccess: () => {
      again();
      onOpenChange(false);
    },
  });
  return (
    <Confirm
      open={open}
      onOpenChange={(next) => {
        if (!next) end.reset();
        onOpenChange(next);
      }}
      title={`End the connection to ${account.account_id}?`}
      action="End the connection"
      busy={end.isPending}
      error={end.error}
      onConfirm={() => end.mutate({ params: { path: { id: account.id } } })}
    >
      Nothing is asked of AWS any more. The months that were read stay. The role in your account does nothing then; delete
      its stack, too.
    </Confirm>
  );
}
