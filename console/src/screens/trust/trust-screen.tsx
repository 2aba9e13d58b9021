// What is promised, how far each promise is, and what proves it.
import type { Promised, Trust } from "@/api/types";
import { pieces } from "@/lib/quoted";
import type { Word } from "@/lib/words";
import { WordBadge } from "@/ui/badge";
import { Card, CardHead } from "@/ui/card";
import { Table, Td, Th } from "@/ui/table";
import { PublicFrame } from "./frame";

const STATES: Record<Promised["state"], Word> = {
  kept: { label: "Kept", meaning: "All of it holds today, and a test fails when it does not.", tone: "good" },
  partly: { label: "Partly", meaning: "What is said holds today; more is planned.", tone: "caution" },
  being_built: { label: "Being built", meaning: "Work on it is under way. What holds today is said.", tone: "neutral" },
  not_built: { label: "Not built", meaning: "It is not there yet, and so not promised.", tone: "neutral" },
};

function Quoted({ text }: { text: string }) {
  return (
    <>
      {pieces(text).map((piece) =>
        piece.code ? (
          <code key={piece.at} className="break-words font-mono text-[0.9em]">
            {piece.text}
          </code>
        ) : (
          <span key={piece.at}>{piece.text}</span>
        ),
      )}
    </>
  );
}

function Proofs({ promised }: { promised: Promised }) {
  const tests = promised.proofs.reduce((sum, proof) => sum + proof.tests.length, 0);
  if (tests === 0) return null;
  return (
    <details className="mt-1.5 text-sm text-muted">
      <summary className="cursor-pointer rounded">
        {tests === 1 ? "1 test proves it" : `${tests} tests prove it`}
        {promised.mutants.length > 0 ? `, against ${promised.mutants.length === 1 ? "1 mutant" : `${promised.mutants.length} mutants`}` : ""}
      </summary>
      <dl className="mt-2 flex flex-col gap-2 border-l pl-3">
        {promised.kept_by ? (
          <div>
            <dt className="text-xs">Kept by</dt>
            <dd>
              <Quoted text={promised.kept_by} />
            </dd>
          </div>
        ) : null}
        {promised.proofs.map((proof) => (
          <div key={proof.file}>
            <dt className="break-words font-mono text-xs">{proof.file}</dt>
            {proof.tests.map((test) => (
              <dd key={test} className="break-words">
                {test.replaceAll("_", " ")}
              </dd>
            ))}
          </div>
        ))}
        {promised.mutants.length > 0 ? (
          <div>
            <dt className="text-xs">Broken on purpose, and noticed</dt>
            <dd className="break-words font-mono text-xs">{promised.mutants.join(", ")}</dd>
          </div>
        ) : null}
      </dl>
    </details>
  );
}

function Area({ area }: { area: Trust["areas"][number] }) {
  return (
    <Card>
      <CardHead title={area.title} />
      <ul className="divide-y">
        {area.promises.map((promised) => (
          <li key={promised.id ?? promised.promise} id={promised.id ?? undefined} className="flex gap-3 px-4 py-3">
            <span className="num w-8 shrink-0 text-sm text-muted">{promised.id}</span>
            <div className="min-w-0 flex-1">
              <p>
                <Quoted text={promised.promise} />
              </p>
              <Proofs promised={promised} />
            </div>
            <span className="shrink-0">
              <WordBadge word={STATES[promised.state]} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Reporting({ reporting }: { reporting: Trust["reporting"] }) {
  return (
    <Card>
      <CardHead title="Reporting a weakness" />
      <div className="max-w-prose px-4 pb-3">
        <p>
          Write to <a className="underline" href={`mailto:${reporting.contact}`}>{reporting.contact}</a>. A rough note is welcome. Every report is
          acknowledged within {reporting.acknowledged_within_hours} hours and investigated; you are credited if you wish.
        </p>
        <p className="mt-2">
          Please run no scanners against production. <code className="font-mono text-[0.9em]">scripts/staging</code> gives you a Costlens of your own by
          one command; whoever cannot run it may ask us for one.
        </p>
      </div>
      <Table>
        <thead>
          <tr>
            <Th>Severity</Th>
            <Th>For example</Th>
            <Th end>Mended within</Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {reporting.severities.map((each) => (
            <tr key={each.severity}>
              <Td>{each.severity}</Td>
              <Td>{each.example}</Td>
              <Td end>{each.days} days</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Card>
  );
}

// What reviewers and lawyers want on paper. Files of the server, not pages of the console.
function Papers({ contact }: { contact: string }) {
  return (
    <Card>
      <CardHead title="For reviewers" />
      <ul className="flex max-w-prose list-disc flex-col gap-2 px-4 pb-4 pl-8">
        <li>
          <a className="underline" href="/trust/questionnaire.md">A filled security questionnaire</a>, by the domains of the CAIQ.
        </li>
        <li>
          <a className="underline" href="/trust/data-processing.md">An agreement on data processing</a>, to be filled in and signed.
        </li>
        <li>
          On request: for each promise its modules, its tests, and when and at which commit each last passed; and other questionnaires, such as the SIG. Write
          to <a className="underline" href={`mailto:${contact}?subject=Evidence`}>{contact}</a>.
        </li>
        <li>No third party has issued a certificate, and none is claimed.</li>
      </ul>
    </Card>
  );
}

function Facts({ facts }: { facts: Trust["facts"] }) {
  return (
    <Card>
      <CardHead title="This deployment" note="as it answers now" />
      <dl className="divide-y">
        {facts.map((fact) => (
          <div key={fact.name} className="grid gap-x-4 px-4 py-2.5 sm:grid-cols-2">
            <dt className="text-muted">{fact.name}</dt>
            <dd className="break-words">{fact.value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

export function TrustScreen() {
  return (
    <PublicFrame
      title="Trust"
      note="What we promise, how far each promise is, and the tests that fail when it is broken. The tests must notice breakages that were made on purpose."
    >
      {(trust) => (
        <>
          {trust.areas.map((area) => (
            <Area key={area.title} area={area} />
          ))}
          <Facts facts={trust.facts} />
          <Papers contact={trust.reporting.contact} />
          <Reporting reporting={trust.reporting} />
        </>
      )}
    </PublicFrame>
  );
}
