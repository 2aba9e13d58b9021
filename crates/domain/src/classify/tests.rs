//! Real usage types of AWS's price lists and bills, and what each of their parts means.

use super::{Category, LineKey, Meter, Routing, Tier, Verdict, classify, screen};

fn bedrock(usage_type: &str) -> super::Classification {
    classify(&LineKey {
        product_code: "AmazonBedrock",
        usage_type,
        pricing_unit: "1K tokens",
        line_item_type: "Usage",
        ..LineKey::default()
    })
}

fn marketplace(usage_type: &str) -> super::Classification {
    classify(&LineKey {
        product_code: "7zgyu5r4aaaaaaaaaaaaaaaaa",
        product_name: "Claude Opus 5 (Amazon Bedrock Edition)",
        billing_entity: "AWS Marketplace",
        usage_type,
        description: "AWS Marketplace software usage|us-east-1|Million Input Tokens Regional",
        pricing_unit: "Units",
        line_item_type: "Usage",
        ..LineKey::default()
    })
}

#[test]
fn tier_routing_and_context_are_dimensions_of_their_own() {
    for (usage_type, tier, routing, long, custom) in [
        ("USE1-NovaPro-input-tokens", Tier::Standard, Routing::Regional, false, false),
        ("USE1-NovaPro-input-tokens-batch", Tier::Batch, Routing::Regional, false, false),
        (
            "USE1-NovaPro-output-tokens-latency-optimized",
            Tier::LatencyOptimized,
            Routing::Regional,
            false,
            false,
        ),
        ("USE1-gpt-oss-120b-output-tokens-priority", Tier::Priority, Routing::Regional, false, false),
        (
            "USE1-Claude4Sonnet-input-tokens-cross-region-global-batch",
            Tier::Batch,
            Routing::Global,
            false,
            false,
        ),
        ("USE1-Claude4Sonnet-input-tokens-long-context", Tier::Standard, Routing::Regional, true, false),
        (
            "USE1-NovaPro-cache-write-input-token-count-custom-model",
            Tier::Standard,
            Routing::Regional,
            false,
            true,
        ),
        (
            "USE1-openai.gpt-5.6-luna-mantle-cache-write-tokens-5m-long-ctx-flex",
            Tier::Flex,
            Routing::Regional,
            true,
            false,
        ),
        (
            "USE1-Nova2.0Lite-ProvisionedThroughput-1month-ModelUnits",
            Tier::Reserved,
            Routing::Regional,
            false,
            false,
        ),
    ] {
        let class = bedrock(usage_type);
        assert_eq!(
            (class.tier, class.routing, class.long_context, class.custom_model),
            (tier, routing, long, custom),
            "{usage_type}"
        );
        assert!(class.understood && class.verdict == Verdict::Ai, "{usage_type}");
    }
    for (usage_type, tier, routing, long) in [
        ("USE1-MP:USE1_input_tokens_long_ctx_global_standard-Units", Tier::Standard, Routing::Global, true),
        ("USE1-MP:USE1_InputTokenCount_Global_Batch-Units", Tier::Batch, Routing::Global, false),
        ("USE1-MP:USE1_InputTokenCount_Geo-Units", Tier::Standard, Routing::Geo, false),
        ("USE1-MP:USE1_OutputTokenCount_LongContext-Units", Tier::Standard, Routing::Regional, true),
        ("USE1-MP:USE1_Reserved_3Month_OutputTPM_Global-Units", Tier::Reserved, Routing::Global, false),
    ] {
        let class = marketplace(usage_type);
        assert_eq!((class.tier, class.routing, class.long_context), (tier, routing, long), "{usage_type}");
    }
}

#[test]
fn cache_is_told_from_input_and_its_lifetimes_apart() {
    for (usage_type, meter) in [
        ("USE1-MP:USE1_CacheReadInputTokenCount-Units", Meter::CacheRead),
        ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", Meter::CacheWrite5m),
        ("USE1-MP:USE1_CacheWrite30mInputTokenCount-Units", Meter::CacheWrite30m),
        ("USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units", Meter::CacheWrite1h),
        ("USE1-MP:USE1_cache_write_tokens_1h_long_ctx_standard-Units", Meter::CacheWrite1h),
        ("USE1-MP:USE1_cache_write_tokens_global_standard-Units", Meter::CacheWrite5m),
        ("USE1-MP:USE1_cache_read_tokens_standard-Units", Meter::CacheRead),
        ("USE1-MP:USE1_CacheStorage-Units", Meter::Storage),
        ("USE1-MP:USE1_MillionBatchInputTokens-Units", Meter::FreshInput),
    ] {
        assert_eq!(marketplace(usage_type).meter, meter, "{usage_type}");
    }
}

#[test]
fn a_model_with_hyphens_is_not_cut_short() {
    for (usage_type, model, vendor) in [
        ("USE1-gpt-oss-120b-input-tokens-batch", "gpt-oss-120b", "openai"),
        ("USE1-Llama3-1-405B-output-tokens-batch", "llama-3-1-405b", "meta"),
        ("USE1-openai.gpt-5.6-luna-mantle-input-tokens-standard", "gpt-5-6-luna", "openai"),
        ("USE1-qwen.qwen3-32b-mantle-input-tokens-batch", "qwen-3-32b", "qwen"),
        ("USE1-deepseek.v3.2-mantle-input-tokens-standard", "deepseek-v3-2", "deepseek"),
        ("USE1-Claude4.6Opus-output-tokens", "claude-opus-4-6", "anthropic"),
        ("GPT-OSS-Safeguard-20B-output-tokens-batch", "gpt-oss-safeguard-20b", "openai"),
    ] {
        let class = bedrock(usage_type);
        assert_eq!(
            (class.model.as_deref(), class.vendor.as_deref()),
            (Some(model), Some(vendor)),
            "{usage_type}"
        );
    }
}

#[test]
fn units_say_how_many_tokens_they_stand_for() {
    assert_eq!(bedrock("USE1-NovaPro-input-tokens").tokens_per_unit, Some(1_000));
    assert_eq!(marketplace("USE1-MP:USE1_InputTokenCount-Units").tokens_per_unit, Some(1_000_000));
    assert_eq!(bedrock("USE1-Guardrail-ContentPolicyUnitsConsumed").tokens_per_unit, None);
}

#[test]
fn what_stands_beside_inference_has_a_kind() {
    for (usage_type, category) in [
        ("USE1-Guardrail-ContentPolicyUnitsConsumed", Category::Guardrail),
        ("USE1-Nova2.0Lite-Customization-Training", Category::Customization),
        ("USE1-Customization-Storage", Category::Storage),
        ("USE1-CustomModelImport-Storage", Category::Storage),
        ("USE1-Nova2.0Lite-RFT-Training-Hours", Category::Customization),
        ("USE1-Nova2.0Lite-nova-grounding", Category::Retrieval),
        ("USE1-DataAutomation-Pages", Category::DataAutomation),
        ("USE1-InvokeFlow-NodeTransitions", Category::Agents),
        ("USE1-OptimizePrompt-Tokens", Category::Inference),
    ] {
        let class = bedrock(usage_type);
        assert_eq!((class.category, class.understood), (category, true), "{usage_type}");
    }
}

#[test]
fn an_unknown_model_is_kept_named_and_reported() {
    let class = bedrock("USE1-Zebra9-input-tokens");
    assert_eq!(class.verdict, Verdict::Ai);
    assert_eq!(class.model.as_deref(), Some("zebra-9"));
    assert!(!class.understood);
    assert!(!bedrock("USE1-Something-New").understood);
}

#[test]
fn a_service_that_counts_something_new_is_ai_and_reported() {
    let of = |product_code, usage_type, line_item_type| {
        classify(&LineKey { product_code, usage_type, line_item_type, ..LineKey::default() })
    };
    let new = of("AmazonTextract", "USE1-HologramsUnfolded", "Usage");
    let told = (new.verdict, &*new.service, new.category, new.understood);
    assert_eq!(told, (Verdict::Ai, "textract", Category::ManagedApi, false));
    // A seat of a new name is no use of a day.
    let seat = of("AmazonQ", "USE1-Q-Everyone-Monthly", "Usage");
    assert_eq!((seat.category, seat.understood), (Category::Seats, false));
    let unnamed = of("AmazonTextract", "", "Usage");
    assert_eq!((unnamed.category, unnamed.understood), (Category::ManagedApi, true));
    let known = of("AmazonTextract", "USE1-PagesforAnalyzeDocForms", "Usage");
    assert_eq!((known.category, known.understood), (Category::ManagedApi, true));
    // Of a tax nothing is left to understand.
    let tax = of("AmazonTextract", "", "Tax");
    assert_eq!((tax.category, tax.understood), (Category::Adjustment, true));
}

#[test]
fn the_first_look_lets_every_ai_line_through() {
    // Only what the first pass reads: no Marketplace name, no map, no description.
    let opaque = LineKey {
        product_code: "7zgyu5r4aaaaaaaaaaaaaaaaa",
        billing_entity: "AWS Marketplace",
        usage_type: "USE1-MP:USE1_InputTokenCount-Units",
        ..LineKey::default()
    };
    assert!(screen(&opaque));
    assert_eq!(classify(&opaque).verdict, Verdict::NotAi, "without its name nobody can know");
    let plain =
        LineKey { product_code: "AmazonS3", usage_type: "USE1-TimedStorage-ByteHrs", ..LineKey::default() };
    assert!(!screen(&plain));
}

#[test]
fn names_decide_only_where_no_code_does() {
    let focus =
        LineKey { product_code: "Amazon Bedrock", product_name: "Amazon Bedrock", ..LineKey::default() };
    assert_eq!(classify(&focus).service, "bedrock");
    let imposter =
        LineKey { product_code: "AmazonConnect", product_name: "Amazon SageMaker", ..LineKey::default() };
    assert_eq!(classify(&imposter).verdict, Verdict::NotAi);
}

/// A row of `usage_types.tsv`: usage types of AWS's price lists, bills and dashboards, labelled by hand, and as many of
/// other services, of which many use the words of AI.
struct Row<'a> {
    key: LineKey<'a>,
    label: [&'a str; 9],
}

fn rows() -> Vec<Row<'static>> {
    let mut lines = include_str!("usage_types.tsv").lines();
    assert_eq!(
        lines.next(),
        Some(
            "usage_type\tproduct_code\tproduct_name\tverdict\tservice\tcategory\tmodel\tmeter\ttier\trouting\tcontext\tvariant"
        )
    );
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [usage_type, product_code, product_name, label @ ..] = <[&str; 12]>::try_from(cells).unwrap();
        let key = LineKey {
            usage_type,
            product_code,
            product_name: if product_name == "-" { "" } else { product_name },
            pricing_unit: if product_name == "-" { "1K tokens" } else { "Units" },
            line_item_type: "Usage",
            ..LineKey::default()
        };
        Row { key, label }
    };
    lines.map(row).collect()
}

#[test]
fn every_usage_type_is_what_its_row_says() {
    let rows = rows();
    let not_ai = rows.iter().filter(|row| row.label[0] == "not_ai").count();
    assert!(rows.len() - not_ai >= 201 && not_ai >= 200, "{} rows, {not_ai} not AI", rows.len());
    let mut wrong = Vec::new();
    for Row { key, label } in &rows {
        let class = classify(key);
        let found = [
            class.verdict.as_str(),
            &class.service,
            class.category.as_str(),
            class.model.as_deref().unwrap_or("-"),
            class.meter.as_str(),
            class.tier.as_str(),
            class.routing.as_str(),
            if class.long_context { "long" } else { "-" },
            if class.custom_model { "custom" } else { "-" },
        ];
        let is_right = if label[0] == "not_ai" { found[0] == "not_ai" } else { found == *label };
        // A cheap look must not lose what a close one finds.
        if !is_right || (found[0] != "not_ai" && !(class.understood && screen(key))) {
            wrong.push(format!("{}: labelled {label:?}, found {found:?}", key.usage_type));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn a_plan_of_sagemaker_is_sagemakers_on_every_type_of_line_and_a_plan_of_ec2_is_no_ai() {
    let of = |product_code, line_item_type, usage_type| {
        classify(&LineKey { product_code, usage_type, line_item_type, ..LineKey::default() })
    };
    for (line_item_type, usage_type, category) in [
        ("SavingsPlanRecurringFee", "SageMakerSP:1yrNoUpfront", Category::Other),
        ("SavingsPlanUpfrontFee", "SageMakerSP:1yrAllUpfront", Category::Other),
        ("SavingsPlanNegation", "USE1-Host:ml.g5.xlarge", Category::Inference),
        ("SavingsPlanNegation", "SageMakerSP:1yrNoUpfront", Category::Adjustment),
        ("Refund", "SageMakerSP:1yrAllUpfront", Category::Adjustment),
        ("Tax", "", Category::Adjustment),
    ] {
        let class = of("MachineLearningSavingsPlans", line_item_type, usage_type);
        let told = (class.verdict, &*class.service, class.category, class.understood);
        assert_eq!(told, (Verdict::Ai, "sagemaker", category, true), "{line_item_type} {usage_type}");
        let class = of("ComputeSavingsPlans", line_item_type, usage_type);
        assert_eq!(class.verdict, Verdict::NotAi, "{line_item_type} {usage_type}");
    }
    // What SageMaker itself has and no rule knows is still said to be unknown.
    assert!(!of("AmazonSageMaker", "Usage", "SageMakerSP:1yrNoUpfront").understood);
}

/// Every sentence of Bedrock's grammars for models that no price list names, so that a list of known strings would not do.
#[test]
fn rules_are_grammars_and_read_what_nobody_listed() {
    let tiers = [
        ("", Tier::Standard),
        ("-batch", Tier::Batch),
        ("-flex", Tier::Flex),
        ("-priority", Tier::Priority),
        ("-latency-optimized", Tier::LatencyOptimized),
    ];
    let routings = [("", Routing::Regional), ("-cross-region-global", Routing::Global)];
    let counts = [
        ("input-tokens", Meter::FreshInput),
        ("output-tokens", Meter::Output),
        ("cache-read-input-token-count", Meter::CacheRead),
        ("cache-write-input-token-count", Meter::CacheWrite5m),
    ];
    let models = [
        ("Claude7.3Sonnet", "claude-sonnet-7-3"),
        ("Nova4.0Pro", "nova-4-pro"),
        ("Llama9-2-77B", "llama-9-2-77b"),
    ];
    let mut read = 0;
    for region in ["", "USE1-", "EU-", "APN1-"] {
        for (spelled, model) in models {
            for (count, meter) in counts {
                for (tier_words, tier) in tiers {
                    for (routing_words, routing) in routings {
                        for (context, long) in [("", false), ("-long-context", true)] {
                            let usage_type =
                                format!("{region}{spelled}-{count}{tier_words}{routing_words}{context}");
                            let class = bedrock(&usage_type);
                            assert_eq!(
                                (
                                    class.model.as_deref(),
                                    class.meter,
                                    class.tier,
                                    class.routing,
                                    class.long_context
                                ),
                                (Some(model), meter, tier, routing, long),
                                "{usage_type}"
                            );
                            assert!(class.understood && class.tokens_per_unit == Some(1_000), "{usage_type}");
                            read += 1;
                        }
                    }
                }
            }
        }
    }
    let lives = [("", Meter::CacheWrite5m), ("_1h", Meter::CacheWrite1h)];
    for (life, meter) in lives {
        for (context, long) in [("", false), ("_long_ctx", true)] {
            for (routing_words, routing) in [("", Routing::Regional), ("_global", Routing::Global)] {
                for (tier_words, tier) in [("standard", Tier::Standard), ("batch", Tier::Batch)] {
                    let usage_type = format!(
                        "EUC1-MP:EUC1_cache_write_tokens{life}{context}{routing_words}_{tier_words}-Units"
                    );
                    let class = marketplace(&usage_type);
                    assert_eq!(
                        (class.meter, class.tier, class.routing, class.long_context),
                        (meter, tier, routing, long),
                        "{usage_type}"
                    );
                    read += 1;
                }
            }
        }
    }
    assert_eq!(read, 4 * 3 * 4 * 5 * 2 * 2 + 16);
    assert!(!bedrock("USE1-Zebra9-quantum-widgets").understood, "what nobody knows is said to be unknown");
}

#[test]
fn names_of_the_other_endpoint_and_of_contracts_are_grammars_too() {
    let mut read = 0;
    // The other endpoint's names: its marks are the same words, and the tier is always said.
    let tiers = [
        ("standard", Tier::Standard),
        ("batch", Tier::Batch),
        ("flex", Tier::Flex),
        ("priority", Tier::Priority),
    ];
    let counts = [
        ("input-tokens", Meter::FreshInput),
        ("output-tokens", Meter::Output),
        ("cache-read-tokens", Meter::CacheRead),
        ("cache-write-tokens-5m", Meter::CacheWrite5m),
    ];
    for (spelled, model) in [("openai.gpt-7.1-nova", "gpt-7-1-nova"), ("qwen.qwen9-77b", "qwen-9-77b")] {
        for (count, meter) in counts {
            for (context, long) in [("", false), ("-long-ctx", true)] {
                for (tier_words, tier) in tiers {
                    let usage_type = format!("EUC1-{spelled}-mantle-{count}{context}-{tier_words}");
                    let class = bedrock(&usage_type);
                    let found = (class.model.as_deref(), class.meter, class.tier, class.long_context);
                    assert_eq!(found, (Some(model), meter, tier, long), "{usage_type}");
                    assert!(class.understood, "{usage_type}");
                    read += 1;
                }
            }
        }
    }
    // Millions of tokens in one word, by the Marketplace's contract.
    let counts = [("InputTokens", Meter::FreshInput), ("OutputTokens", Meter::Output)];
    for (batch_words, tier) in [("", Tier::Standard), ("Batch", Tier::Batch)] {
        for (count, meter) in counts {
            for region in ["USE1", "APN1"] {
                let usage_type = format!("{region}-MP:{region}_Million{batch_words}{count}-Units");
                let class = marketplace(&usage_type);
                assert_eq!((class.meter, class.tier), (meter, tier), "{usage_type}");
                assert_eq!(
                    (class.understood, class.tokens_per_unit),
                    (true, Some(1_000_000)),
                    "{usage_type}"
                );
                read += 1;
            }
        }
    }
    // And what is bought ahead.
    for (routing_words, routing) in [("", Routing::Regional), ("_Global", Routing::Global)] {
        for months in ["1", "3", "6"] {
            for direction in ["Input", "Output"] {
                let usage_type =
                    format!("USW2-MP:USW2_Reserved_{months}Month_{direction}TPM{routing_words}-Units");
                let class = marketplace(&usage_type);
                let found = (class.category, class.tier, class.routing, class.understood);
                assert_eq!(found, (Category::Provisioned, Tier::Reserved, routing, true), "{usage_type}");
                read += 1;
            }
        }
    }
    assert_eq!(read, 2 * 4 * 2 * 4 + 8 + 12);
}

/// A rule may name whatever may be AI, and nothing else.
#[test]
fn rules_of_a_tenant_may_name_every_service_whose_lines_may_be_ai() {
    let amazon = include_str!("usage_types.tsv").lines().map(|row| row.split('\t').skip(3).take(2).collect());
    let others = include_str!("meters.tsv").lines().map(|row| row.split('\t').skip(5).take(2).collect());
    let labelled: Vec<Vec<&str>> = amazon.chain(others).collect();
    let candidates: std::collections::BTreeSet<&str> =
        labelled.iter().filter(|of| of[0] == "candidate").map(|of| of[1]).collect();
    assert!(candidates.len() >= 4, "{candidates:?}");
    for service in candidates {
        assert!(super::CANDIDATE_SERVICES.contains(&service), "{service}");
    }
    let line = |code: &'static str, usage_type: &'static str| LineKey {
        product_code: code,
        usage_type,
        line_item_type: "Usage",
        ..LineKey::default()
    };
    for key in [line("AmazonEC2", "USE1-BoxUsage:p5.48xlarge"), line("AmazonES", "USE1-IndexingOCU")] {
        let class = classify(&key);
        assert_eq!(class.verdict, Verdict::Candidate, "{key:?}");
        assert!(super::CANDIDATE_SERVICES.contains(&&*class.service), "{class:?}");
    }
}
