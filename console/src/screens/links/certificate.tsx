// The proof that an account was erased, for whoever was told its number.
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { ShieldCheck } from "lucide-react";
import { api } from "@/api/client";
import { ApiError } from "@/api/problem";
import { readCertificate, type Certificate } from "@/lib/certificate";
import { readable } from "@/lib/notice-words";
import { fullTime } from "@/lib/time";
import { buttonLook } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Note } from "@/ui/note";
import { Problem, Skeleton } from "@/ui/states";
import { LinkFrame } from "./frame";

export function CertificateScreen() {
  const { erasureId } = useParams({ from: "/certificates/$erasureId" });
  const { data, error, isPending, refetch } = useQuery(
    api.queryOptions("get", "/api/v1/erasures/{id}/certificate", { params: { path: { id: erasureId } } }),
  );
  const certificate = readCertificate(data);
  const isUnknown = error instanceof ApiError && [400, 404, 422].includes((error as ApiError).status);
  return (
    <LinkFrame title="Certificate of deletion" wide>
      {isPending ? <Skeleton className="mt-4 h-48" /> : null}
      {isUnknown ? (
        <Note tone="caution" title="There is no certificate under this number" className="mt-4">
          Check that the number is whole: <code className="break-all font-mono text-xs">era_</code> and 32 digits. If it is, the erasure is not done yet;
          the certificate appears here when nothing is left.
        </Note>
      ) : error ? (
        <div className="mt-4 rounded-lg bg-worse-soft">
          <Problem error={error} retry={() => void refetch()} />
        </div>
      ) : null}
      {data && !certificate ? <Note tone="caution" className="mt-4">The answer is no certificate that this page can read.</Note> : null}
      {certificate ? <Shown certificate={certificate} raw={data} /> : null}
    </LinkFrame>
  );
}

function Shown({ certificate, raw }: { certificate: Certificate; raw: unknown }) {
  const file = `data:application/json,${encodeURIComponent(JSON.stringify(raw, null, 2))}`;
  const times = [
    ["Asked for", certificate.requestedAt],
    ["Erasing began", certificate.begunAt],
    ["Nothing was left", certificate.erasedAt],
    ["Due by", certificate.deadlineAt],
  ] as const;
  return (
    <>
      <p className="mt-2 flex items-start gap-2">
        <ShieldCheck className="size-5 shrink-0 text-accent-ink" aria-hidden />
        <span>
          An account was erased, and a look at every table afterwards found nothing of it. The number is all that names it.
        </span>
      </p>
      <dl className="mt-4 grid gap-x-4 gap-y-1.5 text-sm sm:grid-cols-[9rem_minmax(0,1fr)]">
        <dt className="text-muted">Number</dt>
        <dd className="break-all font-mono text-xs leading-5">{certificate.number}</dd>
        {times.map(([label, at]) =>
          at ? (
            <div key={label} className="contents">
              <dt className="text-muted">{label}</dt>
              <dd className="num">{fullTime(at, "UTC")} UTC</dd>
            </div>
          ) : null,
        )}
      </dl>
      {certificate.steps.length > 0 ? (
        <>
          <h2 className="mt-5 font-semibold">What was done</h2>
          <dl className="mt-1 divide-y text-sm">
            {certificate.steps.map((step) => (
              <div key={step.name} className="grid gap-x-4 py-2 sm:grid-cols-[9rem_minmax(0,1fr)]">
                <dt>{readable(step.name)}</dt>
                <dd className="break-words text-muted">{step.details}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : null}
      {certificate.tag ? (
        <>
          <h2 className="mt-5 font-semibold">Its tag</h2>
          <p className="mt-1 text-sm text-muted">
            Only the holder of this service&apos;s master key can make it. <code className="font-mono text-xs">costlens verify-certificate</code> tells whether a file is
            genuine in every word.
          </p>
          <div className="mt-2 flex items-center gap-2 rounded-lg bg-sunken p-3">
            <code className="min-w-0 flex-1 break-all font-mono text-xs">{certificate.tag}</code>
            <CopyButton text={certificate.tag} label="Copy the tag" />
          </div>
        </>
      ) : null}
      <a className={buttonLook("plain") + " mt-5"} href={file} download={`certificate-${certificate.number}.json`}>
        Download as JSON
      </a>
    </>
  );
}
