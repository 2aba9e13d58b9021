// The account: what was done in it, what is kept of its prompts, and its end.
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { sessionQuery } from "@/api/queries";
import { PageHead } from "@/shell/page";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Tabs } from "@/ui/tabs";
import { AuditLog } from "./audit-log";
import { CloseDialog } from "./close-dialog";
import { PrivacyView } from "./privacy";
import { ACCOUNT_VIEWS } from "./search";

const LABELS = { audit: "What was done", privacy: "Privacy", end: "The account's end" } as const;

export function AccountScreen() {
  const { view = "audit" } = useSearch({ from: "/member/account" });
  const navigate = useNavigate({ from: "/account" });
  const session = useQuery(sessionQuery());
  return (
    <>
      <PageHead title="Account" note={session.data?.tenant_name} />
      <Tabs
        label="Account"
        value={view}
        tabs={ACCOUNT_VIEWS.map((value) => ({ value, label: LABELS[value] }))}
        onChange={(next) => void navigate({ search: next === "audit" ? {} : { view: next }, replace: true })}
      >
        <div className="pt-4">{view === "audit" ? <AuditLog /> : view === "privacy" ? <PrivacyView /> : <End tenant={session.data?.tenant_name ?? ""} />}</div>
      </Tabs>
    </>
  );
}

const STEPS = [
  ["At once", "Everything is frozen: keys are refused, workflows rest, every other session and sign-in link ends."],
  ["For 7 days", "You can change your mind, here or by the link of a mail that goes to everybody who is told. Then everything works again."],
  ["After 7 days", "Everything is erased: requests, bills, keys, connections, recipients, files, and the keys that sealed them."],
  ["Within 30 days", "A certificate says when each part was erased, and that nothing was found afterwards. It stays under a number of its own."],
] as const;

function End({ tenant }: { tenant: string }) {
  const [asking, setAsking] = useState(false);
  return (
    <Card className="max-w-2xl p-5">
      <h2 className="text-base font-semibold">Close the account</h2>
      <p className="mt-1 text-muted">All of it, for good. Export what you want to keep first; requests can be exported from their list.</p>
      <ol className="mt-4 divide-y border-y">
        {STEPS.map(([when, what]) => (
          <li key={when} className="grid gap-x-4 py-2.5 sm:grid-cols-[8rem_minmax(0,1fr)]">
            <span className="font-medium">{when}</span>
            <span className="text-muted">{what}</span>
          </li>
        ))}
      </ol>
      <Button weight="danger" className="mt-4" onClick={() => setAsking(true)}>
        Close the account
      </Button>
      <CloseDialog open={asking} onOpenChange={setAsking} tenant={tenant} />
    </Card>
  );
}
