// The ledger's stable names of a bill, as people write them.
import type { Bill } from "@/api/types";
import { plainWords, tokenClassLabel } from "@/lib/tokens";
import type { View } from "./search";

export const FORMAT_NAMES: Record<Bill["format"], string> = {
  legacy_cur: "Cost and Usage Report",
  cur2: "CUR 2.0",
  focus: "FOCUS",
};

const SERVICES: Record<string, string> = {
  bedrock: "Amazon Bedrock",
  bedrock_agentcore: "Bedrock AgentCore",
  sagemaker: "Amazon SageMaker",
  ec2: "Amazon EC2",
  amazon_q: "Amazon Q",
  a2i: "Amazon Augmented AI",
  s3_vectors: "S3 Vectors",
  opensearch: "Amazon OpenSearch",
};

/** AWS's own services whose name is theirs with `Amazon` before it. */
const AMAZON = new Set(
  "textract rekognition comprehend comprehend_medical transcribe polly translate lex personalize kendra forecast fraud_detector nova_act".split(" "),
);

function serviceName(slug: string): string {
  return SERVICES[slug] ?? (AMAZON.has(slug) ? `Amazon ${slug.split("_").map(plainWords).join(" ")}` : plainWords(slug));
}

/** The category of AI that no rule could take apart. */
export const UNCLASSIFIED = "other";

/** A group's name in one of the views; what the bill leaves empty is said to be so. */
export function groupName(group: string, by: View): string {
  if (group === "") return "not told by the bill";
  if (by === "token_class") return tokenClassLabel(group);
  if (by === "category") return group === UNCLASSIFIED ? "Not classified" : plainWords(group);
  return by === "service" ? serviceName(group) : group;
}
