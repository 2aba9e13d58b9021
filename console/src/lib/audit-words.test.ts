import { describe, expect, it } from "vitest";
import { actInWords, actorInWords, changeInWords } from "./audit-words";

describe("the audit log", () => {
  it("tells each kind of actor apart", () => {
    expect(actorInWords("session:ses_1")).toBe("Somebody signed in");
    expect(actorInWords("operator:ses_1")).toBe("The operator");
    expect(actorInWords("operator:command-line")).toBe("The operator, at the command line");
    expect(actorInWords("link")).toBe("Somebody with a link of a mail");
    expect(actorInWords("something:new")).toBe("something:new");
  });

  it("tells acts that are not known yet by their own name", () => {
    expect(actInWords("closure.requested")).toBe("Asked to close the account");
    expect(actInWords("budget.created")).toBe("Budget created");
  });

  it("tells changes without losing false and zero", () => {
    expect(changeInWords({ digest: false, at_hour: 0, kinds: ["a", "b"], none: [], name: "x" })).toBe("digest: false, at hour: 0, kinds: a b, none: none, name: x");
    expect(changeInWords({})).toBe("");
    expect(changeInWords(null)).toBe("");
  });
});
