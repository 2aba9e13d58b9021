import { describe, expect, it } from "vitest";
import { difference, exactMoney, groupedNumber, perThousand, share, shortMoney, signedMoney, sumByCurrency } from "./money";

describe("the short form", () => {
  it.each([
    ["1234.567", "$1,234.57"],
    ["1000000", "$1,000,000.00"],
    ["1", "$1.00"],
    ["0.5", "$0.50"],
    ["0.12345", "$0.1235"],
    ["0.01", "$0.01"],
    ["0.0021", "$0.0021"],
    ["0.00000181234", "$0.00000181"],
    ["0", "$0.00"],
    ["-3.999", "−$4.00"],
    ["-0.0000012345", "−$0.00000123"],
  ])("writes %s as %s", (amount, shown) => {
    expect(shortMoney(amount)).toBe(shown);
  });

  it("names a currency that has no sign", () => {
    expect(shortMoney("12.5", "CHF")).toBe("CHF 12.50");
    expect(shortMoney("-12.5", "EUR")).toBe("−€12.50");
  });

  it("shows what it cannot read as it stands, and never as a number", () => {
    expect(shortMoney("n/a")).toBe("n/a");
  });
});

describe("the exact form", () => {
  it("never rounds", () => {
    expect(exactMoney("1234567.000000018100")).toBe("$1,234,567.0000000181");
    expect(exactMoney("0.1")).toBe("$0.10");
    expect(exactMoney("90071992547409931.01")).toBe("$90,071,992,547,409,931.01");
  });
});

describe("sums", () => {
  it("never cross currencies", () => {
    const totals = sumByCurrency([
      { amount: "0.1", currency: "USD" },
      { amount: "5", currency: "EUR" },
      { amount: "0.2", currency: "USD" },
    ]);
    expect(totals).toEqual([
      { currency: "USD", amount: "0.3" },
      { currency: "EUR", amount: "5" },
    ]);
  });
});

describe("shares", () => {
  it("are told with one place, and a little is not nothing", () => {
    expect(share("124", "1000")).toBe("12.4 %");
    expect(share("0.00001", "1000")).toBe("< 0.1 %");
    expect(share("0", "1000")).toBe("0.0 %");
  });

  it("of nothing do not exist", () => {
    expect(share("1", "0")).toBe("–");
  });
});

describe("the cost per thousand", () => {
  it("is divided exactly", () => {
    expect(perThousand("1.5", 3)).toBe("500");
    expect(perThousand("1", 3000)).toBe("0.333333");
  });

  it("is absent where there was no call", () => {
    expect(perThousand("1", 0)).toBeNull();
  });
});

describe("differences", () => {
  it("have their sign", () => {
    expect(signedMoney("3.92")).toBe("+$3.92");
    expect(signedMoney("-250")).toBe("−$250.00");
    expect(signedMoney("0")).toBe("$0.00");
  });

  it("are exact", () => {
    expect(difference("0.3", "0.1")).toBe("0.2");
    expect(difference("11311.764801", "11482.370188")).toBe("-170.605387");
    expect(difference("1", "unpriced")).toBeNull();
  });
});

it("counts keep every digit", () => {
  expect(groupedNumber("560755333")).toBe("560,755,333");
  expect(groupedNumber("-1440.50")).toBe("−1,440.5");
});
