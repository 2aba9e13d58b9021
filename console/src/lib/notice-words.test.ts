import { describe, expect, it } from "vitest";
import { channelWord, endpointWord, eventKind, kindsInWords, messageKind, readable, recipientWord, wishesInWords } from "./notice-words";

const AT = "2026-11-22T10:00:00Z";

describe("a recipient", () => {
  it("waits until the addressee says yes", () => {
    expect(recipientWord({ confirmed_at: null, stopped_at: null, stop_reason: null }).label).toBe("Waiting");
    expect(recipientWord({ confirmed_at: AT, stopped_at: null, stop_reason: null }).label).toBe("Confirmed");
  });

  it("that was stopped says why, confirmed or not", () => {
    expect(recipientWord({ confirmed_at: AT, stopped_at: AT, stop_reason: "unsubscribed" }).label).toBe("Unsubscribed");
    expect(recipientWord({ confirmed_at: null, stopped_at: AT, stop_reason: "bounced" }).label).toBe("Bounced");
  });
});

describe("channels and endpoints", () => {
  it("that are stopped are never called failing or working", () => {
    expect(endpointWord({ stopped_at: AT, failing_since: AT }).label).toBe("Stopped");
    expect(endpointWord({ stopped_at: null, failing_since: AT }).label).toBe("Failing");
    expect(endpointWord({ stopped_at: null, failing_since: null }).label).toBe("Working");
    expect(channelWord({ stopped_at: AT }).label).toBe("Stopped");
  });

  it("tell their kinds in few words, and none means every kind", () => {
    expect(kindsInWords([])).toBe("every kind");
    expect(kindsInWords(["bill.failed", "key.created"])).toBe("bill.failed, key.created");
    expect(kindsInWords(["a", "b", "c"])).toBe("3 kinds");
  });
});

describe("names", () => {
  it("that are not known yet are readable all the same", () => {
    expect(messageKind("weekly_digest")).toBe("Weekly digest");
    expect(messageKind("new_kind_of_word")).toBe("New kind of word");
    expect(eventKind("invoice.settled")).toBe("Invoice settled");
    expect(readable("slack_channel.created")).toBe("Slack channel created");
  });

  it("of wishes say nothing where nothing is wished", () => {
    expect(wishesInWords({ digest: true, alerts: true })).toBe("the weekly digest and alerts");
    expect(wishesInWords({ digest: false, alerts: false })).toBe("nothing");
  });
});
