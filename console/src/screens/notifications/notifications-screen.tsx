// Whom Costlens tells, what it told, and how that looks.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { PageHead } from "@/shell/page";
import { Tabs } from "@/ui/tabs";
import { CalendarCard } from "./calendar-card";
import { DeliveriesSheet } from "./deliveries-sheet";
import { PeopleCard } from "./people-card";
import { Previews } from "./previews";
import { NOTICE_VIEWS } from "./search";
import { Sent } from "./sent";
import { SlackCard } from "./slack-card";
import { WebhooksCard } from "./webhooks-card";

const LABELS = { people: "Who is told", sent: "What was sent", previews: "Previews" } as const;

export function NotificationsScreen() {
  const { view = "people", kind, endpoint } = useSearch({ from: "/member/notifications" });
  const navigate = useNavigate({ from: "/notifications" });
  return (
    <>
      <PageHead title="Notifications" note="A digest each week, and a word when something is worth one." />
      <Tabs
        label="Notifications"
        value={view}
        tabs={NOTICE_VIEWS.map((value) => ({ value, label: LABELS[value] }))}
        onChange={(next) => void navigate({ search: next === "people" ? {} : { view: next }, replace: true })}
      >
        <div className="flex flex-col gap-4 pt-4">
          {view === "people" ? (
            <>
              <PeopleCard />
              <SlackCard />
              <WebhooksCard onDeliveries={(id) => void navigate({ search: { endpoint: id }, resetScroll: false })} />
              <CalendarCard />
            </>
          ) : null}
          {view === "sent" ? <Sent /> : null}
          {view === "previews" ? (
            <Previews kind={kind} onKind={(next) => void navigate({ search: { view: "previews", kind: next }, replace: true, resetScroll: false })} />
          ) : null}
        </div>
      </Tabs>
      <DeliveriesSheet endpointId={endpoint} onClose={() => void navigate({ search: {}, resetScroll: false })} />
    </>
  );
}
