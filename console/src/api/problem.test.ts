import { describe, expect, it } from "vitest";
import { asApiError, fieldProblem, isSignedOut, readProblem } from "./problem";

describe("problems", () => {
  it("keep title, detail, code, fields and the id under which the cause was logged", () => {
    const body = JSON.stringify({
      type: "urn:costlens:problem:invalid_request",
      title: "The request is not valid",
      status: 400,
      detail: "name is empty",
      instance: "abc-1",
      code: "invalid_request",
      errors: [{ field: "/name", detail: "must not be empty" }],
    });
    const error = readProblem(400, body, "from-the-header");
    expect(error).toMatchObject({ status: 400, code: "invalid_request", requestId: "abc-1" });
    expect(fieldProblem(error, "name")).toBe("must not be empty");
    expect(fieldProblem(error, "secret")).toBeUndefined();
  });

  it("are made of answers that are none", () => {
    const error = readProblem(502, "<html>Bad gateway</html>", "r-2");
    expect(error).toMatchObject({ title: "The server answered 502", code: "http_502", requestId: "r-2" });
    expect(readProblem(500, "null", null).title).toBe("The server answered 500");
  });

  it("are made of a network that is down", () => {
    expect(asApiError(new TypeError("Failed to fetch"))).toMatchObject({ status: 0, code: "unreachable" });
  });

  it("tell an ended session from everything else", () => {
    expect(isSignedOut(readProblem(401, "", null))).toBe(true);
    expect(isSignedOut(readProblem(403, "", null))).toBe(false);
  });
});
