// AWS accounts in each state that has a word of its own, with their months, and what no rule of their bills knows.
import { at, DAY, HOUR, id, monthBack, page, sum } from "./shapes.mjs";

const BUCKET = "acme-billing-reports";
const policy = (Statement) => JSON.stringify({ Version: "2012-10-17", Statement });

const setupOf = (externalId, bucket, prefix) => ({
  quick_create_url:
    "https://console.aws.amazon.com/cloudformation/home?region=us-east-1#/stacks/create/review?templateURL=https%3A%2F%2Fcostlens-public.s3.amazonaws.com%2Fcostlens-bill-reader.yaml&stackName=Costlens",
  template_url: "/onboarding/costlens-bill-reader.yaml",
  terraform_url: "/onboarding/costlens-bill-reader.tf",
  trust_policy: policy([
    {
      Sid: "LetCostlensIn",
      Effect: "Allow",
      Action: "sts:AssumeRole",
      Principal: { AWS: "arn:aws:iam::999988887777:role/costlens-assumer" },
      Condition: { StringEquals: { "sts:ExternalId": externalId } },
    },
  ]),
  permissions_policy: policy([
    { Sid: "ReadReports", Effect: "Allow", Action: ["s3:GetObject"], Resource: `arn:aws:s3:::${bucket}/${prefix}/*` },
    { Sid: "ListReports", Effect: "Allow", Action: ["s3:ListBucket"], Resource: `arn:aws:s3:::${bucket}`, Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } } },
  ]),
});

function account(number, account_id, state, more = {}) {
  const external_id = `costlens-${"4f2c91aa0b9e".repeat(2)}${number}`;
  const { bucket = BUCKET, prefix = "cur/costlens" } = more;
  return {
    id: id("aws", number),
    account_id,
    bucket,
    prefix,
    report_name: "costlens",
    region: "eu-central-1",
    kms_key_arn: null,
    role_arn: `arn:aws:iam::${account_id}:role/CostlensBillReader`,
    external_id,
    state,
    problem: null,
    setup: setupOf(external_id, bucket, prefix),
    created_at: at(-70 * DAY + number * DAY),
    checked_at: at(-number * 11 * 60_000),
    next_check_at: at(HOUR),
    delivered_at: null,
    revoked_at: null,
    ...more,
  };
}

export const ACCOUNTS = [
  account(1, "111122223333", "active", { delivered_at: at(-5 * HOUR), kms_key_arn: "arn:aws:kms:eu-central-1:111122223333:key/0f3d1b52-7c1e-4a8e-9f6a-2d6f7e1b9c44" }),
  account(2, "444455556666", "failing", {
    bucket: "acme-retail-cost-and-usage-reports-eu-central-1",
    prefix: "exports/finops/hourly",
    delivered_at: at(-9 * DAY),
    problem: {
      code: "access_denied",
      detail: "AWS refused s3:GetObject on exports/finops/hourly/costlens/data/BILLING_PERIOD=2026-11/costlens-00001.snappy.parquet.",
      remedy:
        "Give the role the permissions of the template: s3:GetObject and s3:ListBucket on the prefix, s3:GetBucketLocation on the bucket, and kms:Decrypt on the key if the reports are encrypted with one.",
    },
  }),
  account(3, "777788889999", "pending", {
    region: null,
    checked_at: at(-8_000),
    problem: { code: "role_not_assumable", detail: "The role could not be assumed.", remedy: "Create the stack, or check that the role's trust policy names our role and this connection's ExternalId." },
  }),
  account(4, "222233334444", "paused", { delivered_at: at(-30 * DAY) }),
  account(5, "555566667777", "revoked", { revoked_at: at(-12 * DAY), setup: null, delivered_at: at(-40 * DAY) }),
];

function change(line_item_type, before, by) {
  return { line_item_type, currency: "USD", before, by, after: sum([before, by]) };
}

function delivery(number, month, finality, ago, more = {}) {
  return { id: id("bdl", number), bill_id: "bil_01", month, finality, created_at: at(-ago), files: 14, size_bytes: 184_220_117, previous_id: null, change: null, changes: [], ...more };
}

const [THIS, LAST, BEFORE, OLDEST] = [0, 1, 2, 3].map(monthBack);
const DELIVERIES = {
  [THIS]: [delivery(1, THIS, "open", 5 * HOUR, { previous_id: id("bdl", 2), change: "AWS changed November 2026 by +$412.08, usage", changes: [change("Usage", "9120.441207", "412.083311")] })],
  [LAST]: [
    delivery(3, LAST, "restated", 2 * DAY, {
      previous_id: id("bdl", 4),
      change: "AWS changed October 2026 by -$250.00, a credit",
      changes: [change("Credit", "0", "-250"), change("Tax", "196.07", "-3.92"), change("Usage", "13120.118235", "3.92")],
    }),
    delivery(4, LAST, "invoiced", 11 * DAY, { previous_id: id("bdl", 5) }),
    delivery(5, LAST, "closing", 24 * DAY),
  ],
  [BEFORE]: [delivery(6, BEFORE, "invoiced", 42 * DAY)],
};
const DENIED = { code: "parts_missing", detail: "The manifest names 14 files, and 2 of them are not there.", remedy: "Wait for the delivery to be complete; if that was days ago, have AWS write the report anew." };

const ODD = { code: "unknown_line_types", found: ["SurchargeUsage"], detail: "Line-item types without a rule of their own, kept as billed: SurchargeUsage." };

const MONTHS = [
  { month: THIS, state: "reading", problem: null, progress: { step: "reading", permille: 412 }, updated_at: at(-40_000) },
  { month: LAST, state: "current", problem: null, progress: null, updated_at: at(-2 * DAY) },
  { month: BEFORE, state: "current", problem: null, progress: null, notices: [ODD], updated_at: at(-42 * DAY) },
  { month: OLDEST, state: "failed", problem: DENIED, progress: null, updated_at: at(-60 * DAY) },
].map((month) => ({ notices: [], ...month, delivery: DELIVERIES[month.month]?.[0] ?? null }));

const DRIFT = [
  ["USE1-ClaudeOpus5-v1-input-tokens-flex", "AmazonBedrock", "Amazon Bedrock", "bedrock", "1K tokens", "812.404417", 1_204, -24, -2],
  ["EUC1-AgentCore-Runtime:GB-Hours", "AmazonBedrockAgentCore", "Amazon Bedrock AgentCore", "bedrock", "GB-Hours", "96.12", 412, -19, -2],
  ["USW2-Nova-Forge-CustomModel:MonthlyStorage-of-a-model-that-was-tuned", "AmazonBedrock", "", "bedrock", "Units", "14.25", 24, -11, -3],
  ["", "AmazonSageMaker", "Amazon SageMaker", "sagemaker", "", "0.004211", 3, -9, -9],
].map(([usage_type, product_code, product_name, service, pricing_unit, cost, lines, first, last]) => ({
  usage_type,
  product_code,
  product_name,
  service,
  pricing_unit,
  cost,
  currency: "USD",
  lines,
  first_day: at(first * DAY).slice(0, 10),
  last_day: at(last * DAY).slice(0, 10),
}));

/** `undefined` where the path is another's. */
export function awsAnswer(world, path, { query, method, body }) {
  if (path === "/bills/drift") return { items: world.empty || (query.get("bill_id") && query.get("bill_id") !== "bil_01") ? [] : DRIFT };
  if (path === "/aws-connections" && method === "POST") return account(9, body.account_id, "pending", { bucket: body.bucket, prefix: body.prefix, checked_at: null, region: null });
  if (path === "/aws-connections") return page(world.empty ? [] : ACCOUNTS);
  const [, of, month] = /^\/aws-connections\/(\w+)\/months(?:\/([\d-]+)\/deliveries)?$/.exec(path) ?? [];
  if (month) return page(DELIVERIES[month] ?? []);
  if (of === id("aws", 1)) return { items: MONTHS };
  if (of === id("aws", 2)) return { items: [{ ...MONTHS[2], month: LAST }] };
  if (of) return { items: [] };
  return undefined;
}
