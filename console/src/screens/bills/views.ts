// The names of a bill's dimensions.
import type { View } from "./search";

export const VIEW_LABELS: Record<View, string> = {
  service: "Service",
  model: "Model",
  token_class: "Token class",
  account: "Account",
  region: "Region",
};
