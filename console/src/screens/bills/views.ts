// The names of a bill's dimensions.
import type { View } from "./search";

export const VIEW_LABELS: Record<View, string> = {
  service: "Service",
  model: "Model",
  token_class: "Token class",
  category: "Kind of use",
  account: "Account",
  region: "Region",
  principal: "Principal",
};
