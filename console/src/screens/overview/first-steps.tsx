// The first screen of an empty ledger: two doors, and one line that already works.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowRight, FileSpreadsheet, Route } from "lucide-react";
import { keysQuery } from "@/api/queries";
import { snippet } from "@/lib/snippets";
import { buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { CodeBlock } from "@/ui/copy";

export function FirstSteps() {
  const keys = useQuery(keysQuery());
  const hasKey = (keys.data?.items ?? []).some((key) => !key.revoked_at);
  return (
    <div className="max-w-4xl pt-2">
      <h2 className="text-2xl font-semibold tracking-tight">Where does your AI money go?</h2>
      <p className="mt-1.5 max-w-2xl text-[0.9375rem] leading-6 text-muted">
        Costlens learns it in two ways and lays one beside the other. Open either door; nothing leaves this server but
        the calls you route.
      </p>
      <div className="mt-6 grid gap-4 md:grid-cols-2">
        <Card className="flex flex-col p-5">
          <div className="flex items-center gap-3">
            <span className="grid size-10 place-items-center rounded-xl bg-accent-soft text-accent-ink" aria-hidden>
              <Route className="size-5" />
            </span>
            <h3 className="text-[0.9375rem] font-semibold">Route traffic</h3>
            <span className="ml-auto text-xs text-muted">2 minutes</span>
          </div>
          <p className="mt-3 flex-1 text-muted">
            Point an SDK at this address and keep your code. Each call is priced the moment it ends, per key and model,
            with a receipt. The built-in model answers without any vendor key.
          </p>
          <div className="mt-4 flex flex-wrap gap-2">
            <Link to="/keys" hash="new" className={buttonLook("primary")}>
              {hasKey ? "Create another key" : "Create a key"} <ArrowRight className="size-4" aria-hidden />
            </Link>
            <Link to="/connections" className={buttonLook("plain")}>
              Connect a provider
            </Link>
          </div>
        </Card>
        <Card className="flex flex-col p-5">
          <div className="flex items-center gap-3">
            <span className="grid size-10 place-items-center rounded-xl bg-bill-soft text-bill-ink" aria-hidden>
              <FileSpreadsheet className="size-5" />
            </span>
            <h3 className="text-[0.9375rem] font-semibold">Read my cloud bill</h3>
            <span className="ml-auto text-xs text-muted">1 minute</span>
          </div>
          <p className="mt-3 flex-1 text-muted">
            Drop a Cost and Usage Report of AWS, a cost export of Azure, rows of Google Cloud's billing export, or FOCUS.
            Costlens finds every AI line in it, by service, model and token class, and says what it could not place.
          </p>
          <div className="mt-4">
            <Link to="/bills" className={buttonLook("plain")}>
              Choose a file <ArrowRight className="size-4" aria-hidden />
            </Link>
          </div>
        </Card>
      </div>
      <h3 className="sr-only">From a terminal</h3>
      <div className="mt-4" />
      <CodeBlock label="Or from a terminal, with your key in place of acl_…" code={snippet("curl", window.location.origin, "acl_…")} />
    </div>
  );
}
