import { expect, it } from "vitest";
import { readWorkflowsSearch } from "./search";

it("an address of workflows keeps what the API takes and drops the rest", () => {
  const tenant = `ten_${"0".repeat(32)}`;
  expect(readWorkflowsSearch({ all: "jobs", state: "dead", queue: "message.v1", error_class: "bug", tenant_id: tenant })).toEqual({
    all: "jobs",
    state: "dead",
    queue: "message.v1",
    error_class: "bug",
    tenant_id: tenant,
  });
  expect(readWorkflowsSearch({ all: "prices" })).toEqual({ all: "prices" });
  expect(readWorkflowsSearch({ all: "everything", state: "asleep", queue: "a b", error_class: "", tenant_id: "ten_1", id: "../x" })).toEqual({});
});
