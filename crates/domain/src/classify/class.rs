//! The words that a classification is made of.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::usage::TokenClass;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, default $default:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in the order reports show them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as in JSON and SQL.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// Is it AI?
    Verdict, default NotAi {
        /// Beyond doubt.
        Ai = "ai",
        /// It may be: accelerated instances, search clusters and parallel file systems, which other work uses too.
        Candidate = "candidate",
        /// No.
        NotAi = "not_ai",
    }
}

words! {
    /// The kind of use.
    Category, default Other {
        /// Calls of a model, endpoints, batch transforms.
        Inference = "inference",
        /// Training, tuning jobs, clusters.
        Training = "training",
        /// Fine-tuning, distillation and import of a foundation model.
        Customization = "customization",
        /// Capacity bought ahead: model units, reserved tokens per minute.
        Provisioned = "provisioned",
        /// Checks of inputs and answers.
        Guardrail = "guardrail",
        /// Agents, their runtimes, tools and memory, flows.
        Agents = "agents",
        /// Knowledge bases, search, vector stores.
        Retrieval = "retrieval",
        /// Extraction from documents and media.
        DataAutomation = "data_automation",
        /// Evaluation, monitoring, governance.
        Evaluation = "evaluation",
        /// Notebooks and studios.
        Development = "development",
        /// Processing and wrangling of data.
        DataPreparation = "data_preparation",
        /// Work of people on examples.
        Labelling = "labelling",
        /// Volumes, feature stores, model and cache storage.
        Storage = "storage",
        /// Bytes in and out of endpoints.
        DataTransfer = "data_transfer",
        /// A managed service that answers questions about text, speech, images or documents.
        ManagedApi = "managed_api",
        /// Licences per person.
        Seats = "seats",
        /// Accelerated instances.
        GpuCompute = "gpu_compute",
        /// Taxes, credits, refunds of a whole service.
        Adjustment = "adjustment",
        /// None of these.
        Other = "other",
    }
}

words! {
    /// What a unit of usage counts.
    Meter, default Units {
        /// [`TokenClass::FreshInput`].
        FreshInput = "fresh_input",
        /// [`TokenClass::CacheRead`].
        CacheRead = "cache_read",
        /// [`TokenClass::CacheWrite5m`].
        CacheWrite5m = "cache_write_5m",
        /// Tokens written to a cache that lives thirty minutes.
        CacheWrite30m = "cache_write_30m",
        /// [`TokenClass::CacheWrite1h`].
        CacheWrite1h = "cache_write_1h",
        /// [`TokenClass::Output`].
        Output = "output",
        /// [`TokenClass::AudioInput`].
        AudioInput = "audio_input",
        /// [`TokenClass::AudioOutput`].
        AudioOutput = "audio_output",
        /// Tokens of pictures read.
        ImageInput = "image_input",
        /// Tokens of pictures made.
        ImageOutput = "image_output",
        /// Tokens of film read.
        VideoInput = "video_input",
        /// Tokens processed in training.
        TrainingTokens = "training_tokens",
        /// Pictures.
        Images = "images",
        /// Seconds or minutes of sound or film.
        MediaTime = "media_time",
        /// Searches.
        Searches = "searches",
        /// Calls, requests, transactions.
        Requests = "requests",
        /// Characters or units of text.
        Characters = "characters",
        /// Pages of documents.
        Pages = "pages",
        /// Things labelled, stored or inspected.
        Objects = "objects",
        /// Hours of instances, model units, capacity.
        Hours = "hours",
        /// Bytes over time.
        Storage = "storage",
        /// Bytes moved.
        Bytes = "bytes",
        /// People.
        Seats = "seats",
        /// Something else, by the unit.
        Units = "units",
    }
}

impl Meter {
    /// The price class of these tokens; `None` for what is no token or has no class of its own.
    #[must_use]
    pub const fn token_class(self) -> Option<TokenClass> {
        Some(match self {
            Self::FreshInput | Self::ImageInput | Self::VideoInput => TokenClass::FreshInput,
            Self::CacheRead => TokenClass::CacheRead,
            Self::CacheWrite5m => TokenClass::CacheWrite5m,
            Self::CacheWrite1h => TokenClass::CacheWrite1h,
            Self::Output | Self::ImageOutput => TokenClass::Output,
            Self::AudioInput => TokenClass::AudioInput,
            Self::AudioOutput => TokenClass::AudioOutput,
            _ => return None,
        })
    }

    /// True where a unit stands for tokens.
    #[must_use]
    pub const fn counts_tokens(self) -> bool {
        self.token_class().is_some() || matches!(self, Self::CacheWrite30m | Self::TrainingTokens)
    }
}

words! {
    /// The service tier that inference was bought in.
    Tier, default Standard {
        /// On demand.
        Standard = "standard",
        /// Asynchronous, at about half the price.
        Batch = "batch",
        /// Cheaper and slower.
        Flex = "flex",
        /// Dearer and ahead of others.
        Priority = "priority",
        /// On faster hardware.
        LatencyOptimized = "latency_optimized",
        /// Capacity reserved ahead.
        Reserved = "reserved",
    }
}

words! {
    /// Where inference may run. AWS bills `us.`/`eu.` profiles under the plain regional usage type.
    Routing, default Regional {
        /// In the region, or in its geography at the regional price.
        Regional = "regional",
        /// Anywhere in the world, at about a tenth less.
        Global = "global",
        /// Within a geography, where the usage type says so.
        Geo = "geo",
    }
}

/// What a bill line is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Classification {
    /// Is it AI?
    pub verdict: Verdict,
    /// The service: `bedrock`, `sagemaker`, `ec2`, … ; empty for what is not AI.
    pub service: Cow<'static, str>,
    /// The kind of use.
    pub category: Category,
    /// Who made the model: `anthropic`, `amazon`, …
    pub vendor: Option<Cow<'static, str>>,
    /// The model's name in the common spelling of [`super::models::canonical`].
    pub model: Option<String>,
    /// What a unit of usage counts.
    pub meter: Meter,
    /// The service tier.
    pub tier: Tier,
    /// Where inference may run.
    pub routing: Routing,
    /// True for the price of prompts beyond the model's context tier.
    pub long_context: bool,
    /// True for a model that was tuned or imported by the customer.
    pub custom_model: bool,
    /// How many tokens a unit of usage stands for; `None` where the bill does not say, or counts no tokens.
    pub tokens_per_unit: Option<u32>,
    /// The instance type, without `ml.`.
    pub instance_type: Option<String>,
    /// The accelerator in it.
    pub accelerator: Option<Cow<'static, str>>,
    /// How many accelerators; `None` where unknown or where instances share one.
    pub accelerator_count: Option<u32>,
    /// False for an AI line that no rule could take apart.
    pub understood: bool,
}

impl Classification {
    pub(super) fn of(verdict: Verdict, service: &'static str, category: Category, meter: Meter) -> Self {
        Self {
            verdict,
            service: Cow::Borrowed(service),
            category,
            vendor: None,
            model: None,
            meter,
            tier: Tier::Standard,
            routing: Routing::Regional,
            long_context: false,
            custom_model: false,
            tokens_per_unit: None,
            instance_type: None,
            accelerator: None,
            accelerator_count: None,
            understood: true,
        }
    }

    /// The accelerators of the instance: how many of which, `8 × H100`; without a number where that is unknown, and empty where
    /// there are none or nobody knows which.
    #[must_use]
    pub fn accelerators(&self) -> String {
        match (&self.accelerator, self.accelerator_count) {
            (Some(name), Some(count)) => format!("{count} × {name}"),
            (Some(name), None) => name.to_string(),
            (None, _) => String::new(),
        }
    }

    /// A line that has nothing to do with AI.
    #[must_use]
    pub fn not_ai() -> Self {
        Self::of(Verdict::NotAi, "", Category::Other, Meter::Units)
    }

    /// An AI line of a known service that no rule takes apart.
    pub(super) fn not_understood(service: &'static str) -> Self {
        Self { understood: false, ..Self::of(Verdict::Ai, service, Category::Other, Meter::Units) }
    }

    /// The same, in the given instance type.
    pub(super) fn on_instance(mut self, instance_type: &str) -> Self {
        if let Some(found) = super::accelerators::find(instance_type) {
            self.accelerator = found.name.map(Cow::Borrowed);
            self.accelerator_count = found.count;
        }
        self.instance_type = Some(instance_type.to_owned());
        self
    }
}
