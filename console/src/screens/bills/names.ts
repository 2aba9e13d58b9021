// The ledger's stable names of a bill, as people write them.
import type { Bill } from "@/api/types";
import { plainWords, tokenClassLabel } from "@/lib/tokens";
import type { View } from "./search";

export const FORMAT_NAMES: Record<Bill["format"], string> = {
  legacy_cur: "Cost and Usage Report",
  cur2: "CUR 2.0",
  focus: "FOCUS",
  anthropic_costs: "Anthropic's cost report",
  openai_costs: "OpenAI's costs",
  azure_costs: "Azure's actual costs",
  azure_amortised: "Azure's amortised costs",
  azure_focus: "FOCUS from Azure",
  google_costs: "Google Cloud's billing export",
  google_focus: "FOCUS from Google Cloud",
};

const SERVICES: Record<string, string> = {
  anthropic_api: "Claude API",
  openai_api: "OpenAI API",
  bedrock: "Amazon Bedrock",
  bedrock_agentcore: "Bedrock AgentCore",
  sagemaker: "Amazon SageMaker",
  ec2: "Amazon EC2",
  amazon_q: "Amazon Q",
  a2i: "Amazon Augmented AI",
  s3_vectors: "S3 Vectors",
  opensearch: "Amazon OpenSearch",
  fsx_lustre: "Amazon FSx for Lustre",
  azure_openai: "Azure OpenAI",
  foundry_models: "Models in Microsoft Foundry",
  azure_ai_search: "Azure AI Search",
  azure_ai_services: "Azure AI services",
  azure_virtual_machines: "Azure virtual machines",
  vertex_ai: "Vertex AI",
  gemini_api: "Gemini API",
  document_ai: "Document AI",
  cloud_tpu: "Cloud TPU",
  google_agent_builder: "Vertex AI Agent Builder",
};

/** AWS's own services whose name is theirs with `Amazon` before it. */
const AMAZON = new Set(
  "textract rekognition comprehend comprehend_medical transcribe polly translate lex personalize kendra forecast fraud_detector nova_act".split(" "),
);

export function serviceName(slug: string): string {
  const rest = /^(azure|google)_(.+)$/.exec(slug);
  if (rest && !(slug in SERVICES)) return `${plainWords(rest[1] ?? "")} ${(rest[2] ?? "").replace(/_/g, " ")}`;
  return SERVICES[slug] ?? (AMAZON.has(slug) ? `Amazon ${slug.split("_").map(plainWords).join(" ")}` : plainWords(slug));
}

/** The category of AI that no rule could take apart. */
export const UNCLASSIFIED = "other";

/** A group's name in one of the views; what the bill leaves empty is said to be so. */
export function groupName(group: string, by: View): string {
  if (group === "") return by === "accelerator" ? "none, or nobody knows which" : "not told by the bill";
  if (by === "token_class") return tokenClassLabel(group);
  if (by === "category") return group === UNCLASSIFIED ? "Not classified" : plainWords(group);
  return by === "service" ? serviceName(group) : group;
}
