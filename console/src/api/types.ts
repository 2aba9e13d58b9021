// The contract's shapes by the names the console uses. They are taken from the operations of the generated schema,
// so that a change of the API is a type error here.
import type { paths } from "./schema.gen";

type Ok<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends { responses: infer R }
  ? R extends { 200: { content: { "application/json": infer B } } }
    ? B
    : R extends { 201: { content: { "application/json": infer B } } }
      ? B
      : never
  : never;

type Sent<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends {
  requestBody: { content: { "application/json": infer B } };
}
  ? B
  : never;

export type Session = Ok<"/api/v1/session", "get">;
export type User = Ok<"/api/v1/user", "get">;
export type SignIn = Ok<"/api/v1/user/sign-ins", "get">["items"][number];
export type Member = Ok<"/api/v1/members", "get">["items"][number];
export type Role = Member["role"];
export type Invitation = Ok<"/api/v1/invitations", "get">["items"][number];
export type SingleSignOn = Ok<"/api/v1/single-sign-on", "get">;
export type SingleSignOnDomain = SingleSignOn["domains"][number];
export type SecondFactorSetup = Ok<"/api/v1/user/second-factor", "post">;
/** What is promised, for anybody. */
export type Trust = Ok<"/api/v1/trust", "get">;
export type Promised = Trust["areas"][number]["promises"][number];
export type KeyList = Ok<"/api/v1/keys", "get">;
export type Key = KeyList["items"][number];
export type KeyScope = Key["scopes"][number];
export type NewKey = Sent<"/api/v1/keys", "post">;
export type CreatedKey = Ok<"/api/v1/keys", "post">;
export type Provider = Ok<"/api/v1/providers", "get">["items"][number];
export type Connection = Ok<"/api/v1/connections", "get">["items"][number];
export type NewConnection = Sent<"/api/v1/connections", "post">;
export type RequestPage = Ok<"/api/v1/requests", "get">;
export type RequestRow = RequestPage["items"][number];
export type Claim = NonNullable<RequestRow["claim"]>;
export type ImportReport = Ok<"/api/v1/imports/litellm/{id}", "post">;
export type Usage = RequestRow["usage"];
export type Series = Ok<"/api/v1/spend/series", "get">;
export type SpendSums = Series["total"];
export type BillPoint = Ok<"/api/v1/bills/series", "get">["points"][number];
export type SpendBreakdown = Ok<"/api/v1/spend/breakdown", "get">;
export type SpendGroup = SpendBreakdown["items"][number];
export type Bill = Ok<"/api/v1/bills", "get">["items"][number];
export type BillUpload = Ok<"/api/v1/bills/uploads/{id}", "get">;
export type AwsConnection = Ok<"/api/v1/aws-connections", "get">["items"][number];
export type InvoiceSource = Ok<"/api/v1/invoice-sources", "get">["items"][number];
export type BillMonth = Ok<"/api/v1/aws-connections/{id}/months", "get">["items"][number];
export type BillDelivery = NonNullable<BillMonth["delivery"]>;
export type BillTotal = Bill["totals"][number];
export type BillBreakdown = Ok<"/api/v1/bills/{id}/breakdown", "get">;
export type BillGroup = BillBreakdown["items"][number];
export type Candidate = Ok<"/api/v1/bills/{id}/candidates", "get">["items"][number];
export type CandidateRule = Ok<"/api/v1/candidate-rules", "get">["items"][number];
export type BillDriftRow = Ok<"/api/v1/bills/drift", "get">["items"][number];
export type Settlement = Ok<"/api/v1/settlements", "get">["items"][number];
/** Which settlement is meant. */
export type SettlementKey = Pick<Settlement, "issuer" | "month" | "measure">;
export type SettlementResidual = Ok<"/api/v1/settlements/{month}", "get">["residuals"][number];
export type SettlementReason = SettlementResidual["code"];
export type SettlementDay = Ok<"/api/v1/settlements/{month}", "get">["days"][number];
export type SettledCost = NonNullable<Ok<"/api/v1/requests/{id}/settled-cost", "get">["settled"]>;
export type SettlementPrice = Ok<"/api/v1/settlements/{month}/prices", "get">["items"][number];
export type Chargeback = Ok<"/api/v1/months/{month}/chargeback", "get">;
export type ChargebackRow = Chargeback["items"][number];
export type KeyLabel = Ok<"/api/v1/key-labels", "get">["items"][number];
export type SettlementFinding = SettlementPrice["finding"];
export type Export = Ok<"/api/v1/exports", "get">["items"][number];
export type NewExport = Sent<"/api/v1/exports", "post">;
export type Status = Ok<"/api/v1/status", "get">;
export type RequestBody = Ok<"/api/v1/requests/{id}/body", "get">;
export type Privacy = Ok<"/api/v1/privacy", "get">;
export type BodyRetention = Privacy["body_retention"];
export type BodyPurge = Ok<"/api/v1/privacy/purge-preview", "get">;
export type SupportGrant = Ok<"/api/v1/support-grants", "get">["items"][number];
export type Settings = Ok<"/api/v1/settings", "get">;
export type Weekday = Settings["digest_weekday"];
export type Recipient = Ok<"/api/v1/recipients", "get">["items"][number];
export type SlackChannel = Ok<"/api/v1/slack-channels", "get">["items"][number];
export type WebhookEndpoint = Ok<"/api/v1/webhook-endpoints", "get">["items"][number];
export type CreatedWebhookEndpoint = Ok<"/api/v1/webhook-endpoints", "post">;
export type WebhookDelivery = Ok<"/api/v1/webhook-endpoints/{id}/deliveries", "get">["items"][number];
export type Message = Ok<"/api/v1/messages", "get">["items"][number];
export type Budget = Ok<"/api/v1/budgets", "get">["items"][number];
export type NewBudget = Sent<"/api/v1/budgets", "post">;
export type Anomaly = Ok<"/api/v1/anomalies", "get">["items"][number];
export type Recommendation = Ok<"/api/v1/recommendations", "get">["items"][number];
export type Forecast = Ok<"/api/v1/forecast", "get">["items"][number];
export type Workflow = Ok<"/api/v1/workflows", "get">["items"][number];
export type WorkflowDetails = Ok<"/api/v1/workflows/{id}", "get">;
export type OperatorJob = Ok<"/api/v1/operator/jobs", "get">["items"][number];
export type JobState = Workflow["state"];
export type JobClass = NonNullable<Workflow["error_class"]>;
export type QueueStats = Ok<"/api/v1/operator/stats", "get">["queues"][number];
export type Schedule = Ok<"/api/v1/operator/schedules", "get">["items"][number];
export type PriceChanges = Ok<"/api/v1/operator/price-reviews", "get">["items"][number]["changes"];
export type PriceReview = Ok<"/api/v1/operator/price-reviews", "get">["items"][number];
export type PriceCorrection = Ok<"/api/v1/operator/price-corrections", "get">["items"][number];
export type PriceCorrectionSums = Ok<"/api/v1/operator/price-corrections/{id}", "get">["preview"];
export type OpenErasure = Ok<"/api/v1/operator/erasures", "get">["items"][number];
export type DeadLetters = Sent<"/api/v1/operator/redrive/preview", "post">;
export type Closure = NonNullable<Ok<"/api/v1/account/closure", "get">["closure"]>;
export type AuditEvent = Ok<"/api/v1/audit-events", "get">["items"][number];
export type AuditVerification = Ok<"/api/v1/audit/verification", "get">;
