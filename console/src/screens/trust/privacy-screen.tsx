// What is kept and for how long, from the live database, and what is done with it.
import { Link } from "@tanstack/react-router";
import { Card, CardHead } from "@/ui/card";
import { PublicFrame } from "./frame";

/** Days count from the moment at which a row is of no more use. */
function keptFor(days: number | null | undefined): string {
  if (days === null || days === undefined) return "with the account";
  return days === 1 ? "1 day after use" : `${days} days after use`;
}

export function PrivacyScreen() {
  return (
    <PublicFrame title="Privacy" note="What Costlens keeps of your account, why, and when it goes.">
      {({ retention, facts }) => (
        <>
          <Card>
            <CardHead title="What we do with it" />
            <ul className="flex max-w-prose list-disc flex-col gap-2 px-4 pb-4 pl-8">
              <li>
                We keep what the ledger needs: which key called which model when, how many tokens it took and what that cost; your bills; and whom you want
                to be told.
              </li>
              {facts
                .filter((fact) => fact.area === "Privacy")
                .map((fact) => (
                  <li key={fact.name}>
                    {fact.name}: {fact.value}.
                  </li>
                ))}
              <li>Nothing is sold. There is no advertising. This console loads no script, picture or font of anybody else&apos;s.</li>
              <li>
                Whom data goes to is on the page of <Link to="/subprocessors" className="underline">subprocessors</Link>.
              </li>
              <li>You can export your requests at any time, and close the account yourself; a certificate then proves that it was erased.</li>
            </ul>
          </Card>
          <Card>
            <CardHead title="Cookies" note="all there are; no script can read them" />
            <ul className="divide-y">
              {facts
                .filter((fact) => fact.area === "Cookies")
                .map((fact) => (
                  <li key={fact.name} className="grid gap-x-4 px-4 py-2.5 sm:grid-cols-[14rem_1fr]">
                    <span className="break-words font-mono text-xs leading-6">{fact.name}</span>
                    <span>{fact.value}</span>
                  </li>
                ))}
            </ul>
            <p className="max-w-prose px-4 py-2.5 text-sm text-muted">
              This browser itself remembers the theme and the time zone that you choose, and until when your sign-in lasts. That is sent to nobody.
            </p>
          </Card>
          <Card>
            <CardHead title="How long each kind of row is kept" note="as the database has it now" />
            <ul className="divide-y">
              {retention.map((rule) => (
                <li key={rule.table} className="grid gap-x-4 px-4 py-2.5 sm:grid-cols-[12rem_11rem_1fr]">
                  <span className="break-words font-mono text-xs leading-6">{rule.table}</span>
                  <span>{keptFor(rule.keep_days)}</span>
                  <span className="text-muted">{rule.reason}</span>
                </li>
              ))}
            </ul>
          </Card>
        </>
      )}
    </PublicFrame>
  );
}
