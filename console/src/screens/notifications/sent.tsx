// What was sent, and how it fared. What a message said is not kept with it.
import { useQuery } from "@tanstack/react-query";
import { MailCheck } from "lucide-react";
import { api } from "@/api/client";
import { BY_CURSOR, recipientsQuery, slackChannelsQuery } from "@/api/queries";
import type { Message } from "@/api/types";
import { MESSAGE_STATES, messageKind } from "@/lib/notice-words";
import { WordBadge } from "@/ui/badge";
import { Card } from "@/ui/card";
import { More } from "@/ui/more";
import { Moment } from "@/ui/moment";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

export function Sent() {
  const messages = api.useInfiniteQuery("get", "/api/v1/messages", { params: { query: { limit: 50 } } }, { ...BY_CURSOR, refetchInterval: 15_000 });
  const items = messages.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="overflow-clip">
      {messages.isPending ? <SkeletonRows label="Loading what was sent" /> : null}
      {messages.isError && !messages.data ? <Problem error={messages.error} retry={() => void messages.refetch()} /> : null}
      {messages.data && items.length === 0 ? (
        <Empty icon={<MailCheck />} title="Nothing was sent yet">
          Each digest, alert and question to a new address stands here, with what the mail server or Slack said to it.
        </Empty>
      ) : null}
      {items.length > 0 ? <MessageTable items={items} /> : null}
      <More shown={items.length} {...messages} />
    </Card>
  );
}

function MessageTable({ items }: { items: Message[] }) {
  const recipients = useQuery(recipientsQuery());
  const channels = useQuery(slackChannelsQuery());
  const toWhom = (message: Message) => {
    if (message.slack_channel_id) {
      return channels.data?.items.find(({ id }) => id === message.slack_channel_id)?.name ?? "a channel that was removed";
    }
    return recipients.data?.items.find(({ id }) => id === message.recipient_id)?.email ?? "an address that was removed";
  };
  return (
    <Table>
      <thead>
        <tr>
          <Th>Written</Th>
          <Th>What</Th>
          <Th className="hidden sm:table-cell">To</Th>
          <Th>State</Th>
          <Th end className="hidden md:table-cell">
            Attempts
          </Th>
          <Th className="hidden md:table-cell">Settled</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((message) => (
          <tr key={message.id} className="align-top">
            <Td className="w-24 py-2.5 text-muted">
              <Moment at={message.created_at} />
            </Td>
            <Td className="min-w-0 py-2.5">
              <span className="block font-medium">{messageKind(message.kind)}</span>
              <span className="block max-w-28 truncate text-xs text-muted sm:hidden">{toWhom(message)}</span>
              {message.problem ? <span className="block max-w-prose break-words text-xs text-worse">{message.problem}</span> : null}
            </Td>
            <Td className="hidden max-w-56 truncate py-2.5 sm:table-cell" title={toWhom(message)}>
              {toWhom(message)}
            </Td>
            <Td className="py-2.5">
              <WordBadge word={MESSAGE_STATES[message.state]} />
            </Td>
            <Td end className="hidden py-2.5 md:table-cell">
              {message.attempts}
            </Td>
            <Td className="hidden py-2.5 text-muted md:table-cell">{message.settled_at ? <Moment at={message.settled_at} /> : "not yet"}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
