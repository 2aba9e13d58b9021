// A month charged back: every dollar of the bills and calls in one row, and the sum that equals both.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Download, FileText, HandCoins } from "lucide-react";
import { api } from "@/api/client";
import { keyLabelsQuery } from "@/api/queries";
import type { Chargeback } from "@/api/types";
import { askedBy, type Asked, chargebackFile, lastMonths, rowInWords, statementPage } from "@/lib/chargeback";
import { ISSUERS, monthInWords } from "@/lib/settlement-words";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { Amount } from "@/ui/amount";
import { Badge } from "@/ui/badge";
import { buttonLook } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Note } from "@/ui/note";
import { Segments } from "@/ui/segments";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { MEASURE_LABELS } from "@/screens/settlement/search";
import { DIMENSIONS } from "./search";

const LABELS = { team: "Team", key: "Key", user: "User", model: "Model" } as const;

export function ChargebackScreen() {
  const search = useSearch({ from: "/member/chargeback" });
  const navigate = useNavigate({ from: "/chargeback" });
  const months = lastMonths(useNow(60_000), 13);
  // The month before is the newest whose bill can be whole.
  const month = search.month ?? months[1] ?? months[0] ?? "";
  const by = search.by ?? "team";
  const measure = search.measure ?? "net_unblended";
  const asked = askedBy(by);
  const labels = useQuery(keyLabelsQuery());
  const tags = (labels.data?.names ?? []).filter((name) => name !== "team" && name !== "user");
  const options = [...DIMENSIONS.map((value) => ({ value: value as string, label: LABELS[value] as string })), ...tags.map((name) => ({ value: `tag:${name}`, label: name }))];
  const found = api.useQuery("get", "/api/v1/months/{month}/chargeback", { params: { path: { month }, query: { ...asked, measure, limit: 200 } } });
  const change = (next: typeof search) => void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  return (
    <>
      <PageHead title="Chargeback" note="Every dollar of a month, and who it is charged to.">
        <Choose label="Month" value={month} options={(months.includes(month) ? months : [month, ...months]).map((value) => ({ value, label: monthInWords(value) }))} onChange={(value) => change({ month: value })} />
        <Choose label="Charged by" prefix="by" value={by} options={options.some(({ value }) => value === by) ? options : [...options, { value: by, label: asked.tag ?? by }]} onChange={(value) => change({ by: value })} />
        <Segments label="Cost" value={measure} options={MEASURE_LABELS} onChange={(value) => change({ measure: value })} />
        <a className={buttonLook("plain", "small")} href={chargebackFile(month, asked, measure)} download>
          <Download className="size-4" aria-hidden /> CSV
        </a>
        <a className={buttonLook("plain", "small")} href={statementPage(month, measure)} target="_blank" rel="noreferrer">
          <FileText className="size-4" aria-hidden /> Statement
        </a>
      </PageHead>
      {found.isPending ? (
        <Card>
          <SkeletonRows label="Loading the chargeback" />
        </Card>
      ) : null}
      {found.isError ? (
        <Card>
          <Problem error={found.error} retry={() => void found.refetch()} />
        </Card>
      ) : null}
      {found.data && found.data.items.length === 0 && found.data.other_currencies.length === 0 ? (
        <Card>
          <Empty
            icon={<HandCoins />}
            title={`Nothing was spent in ${monthInWords(month)}`}
            action={
              <Link to="/keys" className={buttonLook()}>
                Say whose the keys are
              </Link>
            }
          >
            Calls of the month and its bills are charged here. Give keys a team, and each team has its row.
          </Empty>
        </Card>
      ) : null}
      {found.data && (found.data.items.length > 0 || found.data.other_currencies.length > 0) ? <Charged chargeback={found.data} asked={asked} /> : null}
    </>
  );
}

function Charged({ chargeback, asked }: { chargeback: Chargeback; asked: Asked }) {
  const { totals, items, issuers, other_currencies } = chargeback;
  const provisional = Number(totals.provisional) !== 0 || totals.unbilled !== "0";
  return (
    <>
      {chargeback.is_final ? null : (
        <Note tone="neutral" title="Not final" className="mb-3">
          {provisional ? "Some calls are on no bill yet, and stand here with what they are expected to cost." : "The bills of this month are not complete, or not settled yet."}
          {totals.unpriced_calls > 0 ? ` ${totals.unpriced_calls.toLocaleString("en-US")} calls have no known price and are in no sum.` : ""}
        </Note>
      )}
      <Figures totals={totals} />
      <Card className="mt-3 overflow-clip">
        <CardHead title="Charged to" note="The bills and what is on no bill, each dollar once." />
        <Table>
          <thead>
            <tr>
              <Th>{asked.by === "tag" ? (asked.tag ?? "Tag") : LABELS[asked.by]}</Th>
              <Th end className="hidden sm:table-cell">
                Calls
              </Th>
              <Th end className="hidden md:table-cell">
                Estimated
              </Th>
              <Th end>Charged</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((row) => {
              const { label, note } = rowInWords(row, asked);
              return (
                <tr key={`${row.kind}|${row.group ?? ""}|${row.issuer ?? ""}|${row.code ?? ""}`}>
                  <Td className="max-w-72 py-2">
                    <span className="block truncate" title={label}>
                      {label} {row.kind === "unsettled" ? <Badge tone="caution">Not settled</Badge> : null}
                    </span>
                    {note ? <span className="block text-xs text-muted">{note}</span> : null}
                  </Td>
                  <Td end className="hidden sm:table-cell">
                    {row.calls?.toLocaleString("en-US")}
                  </Td>
                  <Td end className="hidden text-muted md:table-cell">
                    {row.estimated == null ? null : <Amount value={row.estimated} />}
                  </Td>
                  <Td end className="py-2">
                    <Amount value={row.amount} className="font-medium" />
                    {row.provisional != null && Number(row.provisional) !== 0 ? (
                      <span className="block text-xs text-muted">
                        <Amount value={row.provisional} /> provisional
                      </span>
                    ) : null}
                    {row.unbilled_calls ? (
                      <span className="block text-xs text-muted">
                        <Amount value={row.unbilled} /> estimated
                      </span>
                    ) : null}
                  </Td>
                </tr>
              );
            })}
            <tr className="bg-sunken font-medium">
              <Td>All of it</Td>
              <Td end className="hidden sm:table-cell">
                {totals.calls.toLocaleString("en-US")}
              </Td>
              <Td end className="hidden md:table-cell">
                <Amount value={totals.estimated} />
              </Td>
              <Td end>
                <Amount value={totals.amount} />
              </Td>
            </tr>
          </tbody>
        </Table>
      </Card>
      <p className="mt-3 text-xs text-muted">
        {issuers.map((one) => `${ISSUERS[one.issuer]}: ${one.complete_through ? `billed to the end of ${one.complete_through}` : "not settled yet"}.`).join(" ")}
        {other_currencies.length > 0 ? " In other currencies, and in no sum: " : ""}
        {other_currencies.map((one) => (
          <Amount key={`${one.issuer}${one.currency}`} value={one.billed} currency={one.currency} className="mr-2" />
        ))}
      </p>
    </>
  );
}

function Figures({ totals }: { totals: Chargeback["totals"] }) {
  const figures = [
    { label: "Charged", value: totals.amount, note: "all rows together" },
    { label: "AI on the bills", value: totals.billed, note: "of every issuer, in dollars" },
    { label: "On no bill", value: totals.not_billed, note: "calls that are late, or that no bill has" },
  ];
  return (
    <div className="grid grid-cols-1 gap-3 sm:grid-cols-3">
      {figures.map(({ label, value, note }) => (
        <Card key={label} className="px-4 py-3">
          <p className="text-sm text-muted">{label}</p>
          <Amount value={value} className="text-xl font-semibold" />
          <p className="text-xs text-muted">{note}</p>
        </Card>
      ))}
    </div>
  );
}
