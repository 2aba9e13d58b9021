import { describe, expect, it } from "vitest";
import { actInWords, actorInWords, changeInWords, headInWords, proofInWords } from "./audit-words";

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

  it("says whether everything is as it was written, and if not which event is the first", () => {
    expect(proofInWords({ events: 1234, to: 1234, fault: null })).toEqual({ tone: "good", text: "All 1,234 events are as written, and in order." });
    expect(proofInWords({ events: 1, to: 1, fault: null }).text).toBe("The one event is as written, and in order.");
    expect(proofInWords({ events: 0, to: 0, fault: null }).tone).toBe("neutral");
    const broken = proofInWords({ events: 4, to: 4, fault: { seq: 5, what: "event 5 was changed" } });
    expect(broken).toEqual({ tone: "worse", text: "Not as it was written: event 5 was changed. Up to event 4 everything is in order." });
    expect(proofInWords({ events: 0, to: 0, fault: { seq: 1, what: "event 1 was changed" } }).text).toBe("Not as it was written: event 1 was changed.");
  });

  it("says where the chain ends", () => {
    expect(headInWords(0)).toBe("No event yet.");
    expect(headInWords(1200)).toBe("Up to event 1,200:");
  });
});
