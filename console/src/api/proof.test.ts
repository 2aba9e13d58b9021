import { expect, test } from "vitest";
import { answerProof, askForProof, proofAsked } from "./proof";

test("without anybody to ask the answer is no", async () => {
  expect(await askForProof()).toBe(false);
});

test("one answer serves everybody who waits", async () => {
  let told = 0;
  const stop = proofAsked.subscribe(() => (told += 1));
  const calls = [askForProof(), askForProof()];
  expect(proofAsked.isAsked()).toBe(true);
  answerProof(true);
  expect(await Promise.all(calls)).toEqual([true, true]);
  expect(proofAsked.isAsked()).toBe(false);
  expect(told).toBe(3);
  stop();
});
