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
export type KeyList = Ok<"/api/v1/keys", "get">;
export type Key = KeyList["items"][number];
export type NewKey = Sent<"/api/v1/keys", "post">;
export type CreatedKey = Ok<"/api/v1/keys", "post">;
export type Provider = Ok<"/api/v1/providers", "get">["items"][number];
export type Connection = Ok<"/api/v1/connections", "get">["items"][number];
export type NewConnection = Sent<"/api/v1/connections", "post">;
export type RequestPage = Ok<"/api/v1/requests", "get">;
export type RequestRow = RequestPage["items"][number];
export type Usage = RequestRow["usage"];
export type Series = Ok<"/api/v1/spend/series", "get">;
export type SpendSums = Series["total"];
export type BillPoint = Ok<"/api/v1/bills/series", "get">["points"][number];
export type SpendBreakdown = Ok<"/api/v1/spend/breakdown", "get">;
export type SpendGroup = SpendBreakdown["items"][number];
export type Bill = Ok<"/api/v1/bills", "get">["items"][number];
export type BillUpload = Ok<"/api/v1/bills/uploads/{id}", "get">;
export type BillTotal = Bill["totals"][number];
export type BillBreakdown = Ok<"/api/v1/bills/{id}/breakdown", "get">;
export type BillGroup = BillBreakdown["items"][number];
