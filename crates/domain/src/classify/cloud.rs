//! Whose bill a line is on, as far as rules differ by it.

/// A cloud with rules of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cloud {
    /// AWS, and whoever sells in FOCUS and is none of the others.
    #[default]
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud and the Gemini API.
    Google,
}

impl Cloud {
    /// The cloud of this provider, as FOCUS' ProviderName, ServiceProviderName or InvoiceIssuerName writes it. FOCUS fixes no
    /// spelling: Microsoft writes `Microsoft`, tools that convert write `Azure`; Google writes `Google Cloud` and `Google`.
    #[must_use]
    pub fn named(provider: &str) -> Self {
        let provider = provider.trim().to_ascii_lowercase();
        let begins = |name: &str| {
            let rest = provider.strip_prefix(name);
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
        };
        if begins("microsoft") || begins("azure") {
            Self::Azure
        } else if begins("google") || begins("gcp") {
            Self::Google
        } else {
            Self::Aws
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_its_first_word() {
        for (name, cloud) in [
            ("Microsoft", Cloud::Azure),
            ("Microsoft Corporation", Cloud::Azure),
            ("azure", Cloud::Azure),
            ("Google Cloud", Cloud::Google),
            ("Google", Cloud::Google),
            ("GCP", Cloud::Google),
            ("AWS", Cloud::Aws),
            ("Amazon Web Services", Cloud::Aws),
            ("Googly Ltd", Cloud::Aws),
            ("", Cloud::Aws),
        ] {
            assert_eq!(Cloud::named(name), cloud, "{name}");
        }
    }
}
