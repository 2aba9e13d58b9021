// The Slack channels that are told. A channel's URL is a secret: it is sealed on arrival and never shown again.
import { useQuery } from "@tanstack/react-query";
import { Hash, Plus, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { slackChannelsQuery } from "@/api/queries";
import type { SlackChannel } from "@/api/types";
import { channelWord } from "@/lib/notice-words";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Confirm, Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { WishFields, WishTicks } from "./wishes";

const renew = () => void queryClient.invalidateQueries({ queryKey: slackChannelsQuery().queryKey });
const URL_HELP = "An incoming webhook of Slack: https://hooks.slack.com/services/… It is encrypted on arrival and never shown again.";

export function SlackCard() {
  const channels = useQuery({ ...slackChannelsQuery(), refetchInterval: 30_000 });
  const [adding, setAdding] = useState(false);
  const [replacing, setReplacing] = useState<SlackChannel | null>(null);
  const [removing, setRemoving] = useState<SlackChannel | null>(null);
  const items = channels.data?.items ?? [];
  const add = (
    <Button size="small" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
      Add a channel
    </Button>
  );
  return (
    <Card className="overflow-clip">
      <CardHead title="Slack">{items.length > 0 ? add : null}</CardHead>
      {channels.isPending ? <SkeletonRows rows={2} label="Loading the channels" /> : null}
      {channels.isError ? <Problem error={channels.error} retry={() => void channels.refetch()} /> : null}
      {channels.data && items.length === 0 ? (
        <Empty icon={<Hash />} title="No Slack channel" action={add}>
          In Slack, add an incoming webhook to a channel and paste its URL here; the same digest and alerts go there.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <ul className="divide-y border-t">
          {items.map((channel) => (
            <ChannelRow key={channel.id} channel={channel} onReplace={() => setReplacing(channel)} onRemove={() => setRemoving(channel)} />
          ))}
        </ul>
      ) : null}
      <Dialog open={adding} onOpenChange={setAdding} title="Add a Slack channel">
        <AddForm onDone={() => setAdding(false)} />
      </Dialog>
      <Dialog open={replacing !== null} onOpenChange={(open) => (open ? undefined : setReplacing(null))} title={`Another URL for “${replacing?.name ?? ""}”`} description="It replaces the old one at once, and starts a stopped channel again.">
        {replacing ? <ReplaceForm channel={replacing} onDone={() => setReplacing(null)} /> : null}
      </Dialog>
      <RemoveDialog removing={removing} onClose={() => setRemoving(null)} />
    </Card>
  );
}

function ChannelRow({ channel, onReplace, onRemove }: { channel: SlackChannel; onReplace: () => void; onRemove: () => void }) {
  const update = api.useMutation("patch", "/api/v1/slack-channels/{id}", { onSettled: renew });
  const test = api.useMutation("post", "/api/v1/slack-channels/{id}/test");
  const params = { path: { id: channel.id } };
  const error = update.error ?? test.error;
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_12rem]">
          <p className="truncate font-medium">{channel.name}</p>
          <p className="text-xs text-muted">
            added <Moment at={channel.created_at} />
          </p>
        </div>
        <WordBadge word={channelWord(channel)} />
        <WishTicks
          value={update.isPending ? { digest: update.variables.body.digest ?? channel.digest, alerts: update.variables.body.alerts ?? channel.alerts } : channel}
          name={channel.name}
          disabled={update.isPending}
          onChange={(body) => update.mutate({ params, body })}
        />
        <span className="ml-auto flex items-center gap-1">
          <Button weight="quiet" size="small" busy={test.isPending} disabled={Boolean(channel.stopped_at)} onClick={() => test.mutate({ params })} aria-label={`Send a test to ${channel.name}`}>
            Test
          </Button>
          <Button weight="quiet" size="small" onClick={onReplace} aria-label={`Replace the URL of ${channel.name}`}>
            Replace URL
          </Button>
          <Button weight="quiet" size="icon" className="hover:!text-worse" onClick={onRemove} aria-label={`Remove ${channel.name}`}>
            <Trash2 className="size-4" aria-hidden />
          </Button>
        </span>
      </div>
      {channel.stopped_at ? (
        <Note tone="worse" className="mt-2">
          Stopped <Moment at={channel.stopped_at} />
          {channel.stop_reason ? `: ${channel.stop_reason}` : ""}. Another URL starts it again.
        </Note>
      ) : null}
      {test.isSuccess ? (
        <p role="status" className="mt-2 text-sm text-muted">
          A test is on its way; “What was sent” tells how it fares.
        </p>
      ) : null}
      {error ? <Problem error={error} /> : null}
    </li>
  );
}

function AddForm({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [wishes, setWishes] = useState({ digest: true, alerts: true });
  const create = api.useMutation("post", "/api/v1/slack-channels", {
    onSuccess: () => {
      renew();
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { name: name.trim(), url: url.trim(), ...wishes } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <TextField
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        placeholder="#ai-spend"
        problem={fieldProblem(problem, "name")}
        required
        maxLength={100}
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this name
        autoFocus
      />
      <UrlField value={url} onChange={setUrl} help={URL_HELP} problem={fieldProblem(problem, "url")} />
      <WishFields value={wishes} onChange={setWishes} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={name.trim() === "" || url.trim() === ""}>
          Add the channel
        </Button>
      </div>
    </form>
  );
}

/** A URL that is a secret: typed like a password, never filled in. */
export function UrlField({ value, onChange, help, problem, label = "Webhook URL" }: { value: string; onChange: (value: string) => void; help: string; problem?: string; label?: string }) {
  return (
    <TextField
      label={label}
      type="password"
      value={value}
      onChange={(event) => onChange(event.target.value)}
      help={help}
      problem={problem}
      required
      autoComplete="new-password"
      spellCheck={false}
    />
  );
}

function ReplaceForm({ channel, onDone }: { channel: SlackChannel; onDone: () => void }) {
  const [url, setUrl] = useState("");
  const update = api.useMutation("patch", "/api/v1/slack-channels/{id}", {
    onSuccess: () => {
      renew();
      onDone();
    },
  });
  const problem = update.error ? asApiError(update.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    update.mutate({ params: { path: { id: channel.id } }, body: { url: url.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <UrlField value={url} onChange={setUrl} help={URL_HELP} problem={fieldProblem(problem, "url")} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={update.isPending} disabled={url.trim() === ""}>
          Replace the URL
        </Button>
      </div>
    </form>
  );
}

function RemoveDialog({ removing, onClose }: { removing: SlackChannel | null; onClose: () => void }) {
  const remove = api.useMutation("delete", "/api/v1/slack-channels/{id}", {
    onSuccess: () => {
      renew();
      onClose();
    },
  });
  return (
    <Confirm
      open={removing !== null}
      onOpenChange={(open) => {
        if (open) return;
        remove.reset();
        onClose();
      }}
      title={`Remove “${removing?.name ?? ""}”?`}
      action="Remove the channel"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => (removing ? remove.mutate({ params: { path: { id: removing.id } } }) : undefined)}
    >
      Nothing goes there any more, and its URL is forgotten. In Slack the incoming webhook stays until you remove it there.
    </Confirm>
  );
}
