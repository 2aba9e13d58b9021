// A settled month: what its calls were estimated to cost, what they cost by the bill, and why that differs.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Scale } from "lucide-react";
import { api } from "@/api/client";
import { settlementsQuery } from "@/api/queries";
import type { Settlement } from "@/api/types";
import { daysInWords } from "@/lib/days";
import { difference, share, shortMoney, signedMoney } from "@/lib/money";
import { ISSUERS, monthInWords } from "@/lib/settlement-words";
import { fullTime } from "@/lib/time";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Note } from "@/ui/note";
import { Segments } from "@/ui/segments";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Breakdown } from "./breakdown";
import { Coverage } from "./coverage";
import { History } from "./history";
import { Reasons } from "./reasons";
import { ISSUED_BY, MEASURE_LABELS, type SettlementSearch } from "./search";
import { UnitPrices } from "./unit-prices";

export function SettlementScreen() {
  const search = useSearch({ from: "/member/settlement" });
  const navigate = useNavigate({ from: "/settlement" });
  const measure = search.measure ?? "net_unblended";
  const months = useQuery(settlementsQuery(measure));
  const items = months.data?.items ?? [];
  const issuers = ISSUED_BY.filter((one) => items.some(({ issuer }) => issuer === one));
  const issuer = issuers.find((one) => one === search.issuer) ?? issuers[0];
  const ofIssuer = items.filter((one) => one.issuer === issuer);
  const settlement = ofIssuer.find(({ month }) => month === search.month) ?? ofIssuer[0];
  const change = (next: typeof search) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  return (
    <>
      <PageHead title="Settlement" note="What calls cost by the bill, and why that is not what was estimated.">
        {settlement ? (
          <>
            {issuers.length > 1 ? (
              <Segments label="Bill of" value={settlement.issuer} options={issuers.map((one) => ({ value: one, label: ISSUERS[one] }))} onChange={(value) => change({ issuer: value })} />
            ) : null}
            <Choose label="Month" value={settlement.month} options={ofIssuer.map(({ month }) => ({ value: month, label: monthInWords(month) }))} onChange={(month) => change({ month })} />
            <Segments label="Cost" value={measure} options={MEASURE_LABELS} onChange={(value) => change({ measure: value })} />
          </>
        ) : null}
      </PageHead>
      {months.isPending ? (
        <Card>
          <SkeletonRows label="Loading the settlement" />
        </Card>
      ) : null}
      {months.isError ? (
        <Card>
          <Problem error={months.error} retry={() => void months.refetch()} />
        </Card>
      ) : null}
      {months.data && !settlement ? (
        <Card>
          <Empty
            icon={<Scale />}
            title="Nothing is settled yet"
            action={
              <>
                <Link to="/bills" className={buttonLook("primary")}>
                  Upload a bill
                </Link>
                <Link to="/bills/aws" className={buttonLook()}>
                  Connect an AWS account
                </Link>
              </>
            }
          >
            A month is settled when its bill arrives: then you see what calls cost by the bill, and why that is not what was
            estimated.
          </Empty>
        </Card>
      ) : null}
      {settlement ? <MonthOf settlement={settlement} by={search.by ?? "model"} onGroup={(by) => change({ by })} /> : null}
    </>
  );
}

type Group = NonNullable<SettlementSearch["by"]>;

function MonthOf({ settlement, by, onGroup }: { settlement: Settlement; by: Group; onGroup: (by: Group) => void }) {
  const { zone } = usePreferences();
  const { issuer, month, measure } = settlement;
  const details = api.useQuery("get", "/api/v1/settlements/{month}", { params: { path: { month }, query: { issuer, measure } } });
  return (
    <>
      {settlement.is_amber ? (
        <Note tone="caution" title="More than one per cent of this bill is unexplained" className="mb-3">
          <Amount value={settlement.unknown} /> of <Amount value={settlement.billed} /> have no reason. The days below say where.
        </Note>
      ) : null}
      <Figures settlement={settlement} />
      {details.isPending ? (
        <Card className="mt-3">
          <SkeletonRows label="Loading the differences" />
        </Card>
      ) : null}
      {details.isError ? (
        <Card className="mt-3">
          <Problem error={details.error} retry={() => void details.refetch()} />
        </Card>
      ) : null}
      {details.data ? <Reasons settlement={settlement} residuals={details.data.residuals} /> : null}
      <Coverage issuer={issuer} month={month} measure={measure} />
      <Breakdown issuer={issuer} month={month} measure={measure} by={by} onGroup={onGroup} />
      <UnitPrices issuer={issuer} month={month} measure={measure} />
      {details.data ? <History days={details.data.days} version={settlement.version} /> : null}
      <p className="mt-3 text-xs text-muted">
        Settled {fullTime(settlement.settled_at, zone)} {zone}; the bill is complete through {daysInWords(settlement.complete_through, settlement.complete_through)}.
        {settlement.absent_calls > 0
          ? ` ${settlement.absent_calls.toLocaleString("en-US")} calls, estimated at ${shortMoney(settlement.absent)}, are to models that the bill does not know, and are in no sum.`
          : ""}
        {settlement.other_currencies.length > 0 ? ` Not settled: what is billed in ${settlement.other_currencies.join(", ")}.` : ""}
      </p>
    </>
  );
}

function Figures({ settlement }: { settlement: Settlement }) {
  const figures = [
    { label: "Estimated", value: settlement.estimated, note: `${settlement.calls.toLocaleString("en-US")} calls` },
    { label: "Settled", value: settlement.settled, note: `${signedMoney(difference(settlement.settled, settlement.estimated) ?? "0")} to the estimates` },
    { label: "AI on the bill", value: settlement.billed, note: `${share(settlement.settled, settlement.billed)} of it is settled calls` },
  ];
  const percent = settlement.coverage_percent;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      {figures.map(({ label, value, note }) => (
        <Card key={label} className="px-4 py-3">
          <p className="text-sm text-muted">{label}</p>
          <Amount value={value} className="text-xl font-semibold" />
          <p className="text-xs text-muted">{note}</p>
        </Card>
      ))}
      <Card className="px-4 py-3">
        <p className="text-sm text-muted">Coverage</p>
        <p className="num text-xl font-semibold">{percent == null ? "–" : `${Number(percent).toFixed(1)} %`}</p>
        <p className="text-xs text-muted">of the billed tokens went through the proxy</p>
      </Card>
    </div>
  );
}
