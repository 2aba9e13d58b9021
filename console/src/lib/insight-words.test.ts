import { describe, expect, it } from "vitest";
import { billVerdict, causeInWords, confidenceWord, figureInWords, happenedInWords, seriesInWords, subjectInWords } from "./insight-words";

describe("words for what follows from the facts", () => {
  it("tells a part by its sign", () => {
    expect(causeInWords("volume", "12.5")).toBe("more use");
    expect(causeInWords("volume", "-12.5")).toBe("less use");
    expect(causeInWords("something_new", "1")).not.toBe("");
  });

  it("warns of a surprise that the bills do not show, and of a verdict it does not know says no more than its name", () => {
    expect(billVerdict("confirmed").tone).toBe("neutral");
    expect([billVerdict("lower").tone, billVerdict("absent").tone]).toEqual(["caution", "caution"]);
    expect(billVerdict("some_new_one").label).toBe("Some new one");
  });

  it("names what was watched", () => {
    const keyName = (id: string) => (id === "key_1" ? "ci" : id);
    expect(seriesInWords("total", keyName)).toBe("all calls together");
    expect(seriesInWords("key:key_1", keyName)).toBe("ci");
    expect(seriesInWords("model:gpt-4.1", keyName)).toBe("model gpt-4.1");
    expect(seriesInWords("bill:total", keyName)).toBe("the whole bill");
    expect(seriesInWords("bill:principal:arn:aws:sts::1:role/x", keyName)).toBe("principal x on the bill");
  });

  it("writes money as money and counts as counts", () => {
    expect(figureInWords("cost_global", "8124.404", "USD")).toBe("cost global $8,124.40");
    expect(figureInWords("tokens", "560755333", "USD")).toBe("tokens 560,755,333");
    expect(figureInWords("cached_share_elsewhere", "0.42", "USD")).toBe("cached share elsewhere 0.42");
  });

  it("names what an event happened to", () => {
    expect(subjectInWords("month_restated", "2026-10")).toBe("October 2026");
    expect(subjectInWords("shadow_use", "arn:aws:iam::444455556666:user/alice")).toBe("alice");
    expect(subjectInWords("new_region", "us-west-2")).toBe("us-west-2");
  });

  it("has words for every kind that it knows, and for those it does not", () => {
    expect(happenedInWords("shadow_use")).toBe("Use past the proxy");
    expect(happenedInWords("a_new_kind")).not.toBe("");
    expect(confidenceWord("high").tone).toBe("good");
  });
});
