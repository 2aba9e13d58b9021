import { expect, test } from "vitest";
import { labelsInWords, labelsOf, tagsInText } from "./labels";

test("what is typed is what is sent, and comes back as it was typed", () => {
  const labels = labelsOf(" Search ", "", "cost-centre=4711, note=a=b,");
  expect(labels).toEqual([
    { name: "team", value: "Search" },
    { name: "cost-centre", value: "4711" },
    { name: "note", value: "a=b" },
  ]);
  expect(tagsInText(labels)).toBe("cost-centre=4711, note=a=b");
  expect(labelsInWords(labels)).toBe("Search · cost-centre=4711 · note=a=b");
  expect(labelsOf("", "", "nonsense")).toEqual([{ name: "nonsense", value: "" }]);
});
