// Who used what, and how much of it went through the proxy: what went around it first.
import { api } from "@/api/client";
import type { SettlementKey } from "@/api/types";
import { share } from "@/lib/money";
import { principalInWords } from "@/lib/settlement-words";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

/** What lies further down went around the proxy for less. */
const LIMIT = 50;

export function Coverage({ issuer, month, measure }: SettlementKey) {
  const coverage = api.useQuery("get", "/api/v1/settlements/{month}/coverage", {
    params: { path: { month }, query: { issuer, measure, limit: LIMIT } },
  });
  const items = coverage.data?.items ?? [];
  const isCut = items.length === LIMIT;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Coverage" note={isCut ? `By principal, the ${LIMIT} that most went around the proxy of.` : "By principal, what went around the proxy first."} />
      {coverage.isPending ? <SkeletonRows label="Loading the coverage" /> : null}
      {coverage.isError ? <Problem error={coverage.error} retry={() => void coverage.refetch()} /> : null}
      {coverage.data && items.length === 0 ? <p className="px-4 pb-4 text-muted">Nothing on this bill is charged by the token.</p> : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Principal</Th>
              <Th className="hidden md:table-cell">Account</Th>
              <Th className="hidden sm:table-cell">Model</Th>
              <Th end className="hidden sm:table-cell">
                Tokens by the proxy
              </Th>
              <Th end>Around the proxy</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((one) => (
              <tr key={`${one.account} ${one.region} ${one.principal} ${one.model}`}>
                <Td className="max-w-56 py-2" title={one.principal}>
                  <span className="block truncate">{principalInWords(one.principal)}</span>
                  <span className="block text-xs text-muted [overflow-wrap:anywhere] sm:hidden">
                    {one.model}, {one.region ? `${one.region}, ` : ""}
                    {share(String(one.covered_tokens), String(one.billed_tokens))} by the proxy
                  </span>
                </Td>
                <Td className="hidden py-2 text-muted md:table-cell">
                  {one.account}
                  <span className="block text-xs">{one.region}</span>
                </Td>
                <Td className="hidden max-w-48 truncate sm:table-cell" title={one.model}>
                  {one.model}
                </Td>
                <Td end className="hidden py-2 sm:table-cell">
                  {share(String(one.covered_tokens), String(one.billed_tokens))}
                  <span className="block text-xs text-muted">
                    {one.covered_tokens.toLocaleString("en-US")} of {one.billed_tokens.toLocaleString("en-US")}
                  </span>
                </Td>
                <Td end>
                  <Amount value={one.unproxied} />
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}
