import { expect, test } from "vitest";
import { browserLabel, comebackInWords, isAtLeast, issuerLabel, rolesUpTo } from "./people-words";

test("nobody gives a role above its own away", () => {
  expect(rolesUpTo("admin").map(({ value }) => value)).toEqual(["viewer", "member", "analyst", "admin"]);
  expect(rolesUpTo("viewer")).toHaveLength(1);
  expect(isAtLeast("owner", "admin")).toBe(true);
  expect(isAtLeast("analyst", "admin")).toBe(false);
});

test("who vouches is told by the name that people know", () => {
  expect(issuerLabel("https://accounts.google.com")).toBe("Google");
  expect(issuerLabel("https://github.com/")).toBe("GitHub");
  expect(issuerLabel("https://login.acme.example/realms/people")).toBe("https://login.acme.example/realms/people");
});

test("a browser is told by what people call it", () => {
  expect(browserLabel("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")).toBe("Firefox on Linux");
  expect(
    browserLabel("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"),
  ).toBe("Edge on macOS");
  expect(browserLabel("Testfox")).toBe("Testfox");
  expect(browserLabel(null)).toBe("An unknown browser");
});

test("only a known reason is shown", () => {
  expect(comebackInWords("address_taken")).toContain("another way");
  expect(comebackInWords("<script>")).toBeNull();
  expect(comebackInWords(undefined)).toBeNull();
});
