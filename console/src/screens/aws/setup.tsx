// What lets us in: the link that makes the role, or the files to make it by hand.
import { ExternalLink } from "lucide-react";
import type { AwsConnection } from "@/api/types";
import { buttonLook } from "@/ui/button";
import { CodeBlock } from "@/ui/copy";

export function Setup({ account }: { account: AwsConnection }) {
  const { setup } = account;
  if (!setup) return null;
  const pretty = (json: string) => JSON.stringify(JSON.parse(json), null, 2);
  return (
    <div className="mt-3 grid grid-cols-1 gap-3 rounded-md bg-sunken p-3 text-sm">
      <div>
        <p className="font-medium">ExternalId</p>
        <p className="text-muted">Made for this connection; the role asks for it. It is no secret.</p>
        <div className="mt-1">
          <CodeBlock code={account.external_id} label="ExternalId" wrap />
        </div>
      </div>
      <div className="flex flex-wrap items-center gap-2">
        {setup.quick_create_url ? (
          <a className={buttonLook("primary")} href={setup.quick_create_url} target="_blank" rel="noreferrer">
            Create the role in AWS <ExternalLink className="size-4" aria-hidden />
          </a>
        ) : null}
        <a className={buttonLook()} href={setup.template_url} download>
          CloudFormation template
        </a>
        <a className={buttonLook()} href={setup.terraform_url} download>
          Terraform
        </a>
      </div>
      <details>
        <summary className="cursor-pointer font-medium">By hand</summary>
        <p className="mt-1 text-muted">
          A role named CostlensBillReader with sessions of one hour at most, this trust policy and this permissions policy.
        </p>
        <div className="mt-2 grid grid-cols-1 gap-2">
          <CodeBlock code={pretty(setup.trust_policy)} label="Trust policy" />
          <CodeBlock code={pretty(setup.permissions_policy)} label="Permissions policy" />
        </div>
      </details>
    </div>
  );
}
