//! Where the service is looked at for its public status, as the operator wrote it.

use std::collections::BTreeSet;

use costlens_egress::{Egress, EgressConfig, EndpointUrl, HostPort, Policy};
use costlens_workers::{StatusTarget, StatusTargets};

use crate::boot::Failure;

/// What is wrong with a target.
#[derive(Debug, thiserror::Error)]
#[error("COSTLENS_STATUS_TARGETS: `{entry}` {why}")]
struct BadTarget {
    entry: String,
    why: String,
}

/// The targets that are set, or this one. They are the operator's own, so they may be private; nothing else may, on the
/// way that is made for them.
pub(crate) fn read(
    entries: &[String],
    default: Option<&str>,
    config: &EgressConfig,
) -> Result<StatusTargets, Failure> {
    let written: Vec<&str> = match entries {
        [] => default.into_iter().collect(),
        entries => entries.iter().map(String::as_str).collect(),
    };
    if written.is_empty() {
        return Ok(StatusTargets::default());
    }
    let mut named = Vec::new();
    let mut names = BTreeSet::new();
    for entry in written {
        let bad = |why: &str| BadTarget { entry: shown(entry), why: why.to_owned() };
        let (name, url) = match entry.split_once('=') {
            Some((name, url)) if !name.contains("://") => (name.trim(), url.trim()),
            _ => ("", entry.trim()),
        };
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if name.len() > 40 || !name.bytes().all(plain) {
            return Err(bad("has a name of other than 1 to 40 small letters, digits, - and _").into());
        }
        if !names.insert(name) {
            return Err(bad("has a name that stands here twice").into());
        }
        let host = host_of(url).ok_or_else(|| bad("is no http or https address"))?;
        named.push((name, url, host, entry));
    }
    let policy = Policy { allow_private: named.iter().map(|(_, _, host, _)| host.clone()).collect() };
    let target = |(name, url, _, entry): &(&str, &str, HostPort, &str)| {
        let base = EndpointUrl::parse(url, &policy)
            .map_err(|refused| BadTarget { entry: shown(entry), why: refused.to_string() })?;
        Ok::<_, BadTarget>(StatusTarget { name: (*name).to_owned(), base })
    };
    let targets = named.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    let egress = Egress::new(EgressConfig { policy, ..config.clone() })?;
    Ok(StatusTargets { targets, egress: Some(egress) })
}

/// An entry without what may be a password in it.
fn shown(entry: &str) -> String {
    entry.rsplit('@').next().unwrap_or_default().to_owned()
}

/// The host and port that an address names.
fn host_of(url: &str) -> Option<HostPort> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let with_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if with_port { authority.parse().ok() } else { format!("{authority}:{port}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(entries: &[&str], default: Option<&str>) -> Result<Vec<(String, String)>, String> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let read = read(&entries, default, &EgressConfig::default()).map_err(|error| error.to_string())?;
        assert_eq!(read.targets.is_empty(), read.egress.is_none());
        Ok(read.targets.into_iter().map(|target| (target.name, target.base.as_str().to_owned())).collect())
    }

    #[test]
    fn an_address_has_a_name_or_is_the_service_itself() {
        let own = Some("http://127.0.0.1:8080");
        let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
        assert_eq!(told(&[], None).unwrap(), []);
        assert_eq!(told(&[], own).unwrap(), [pair("", "http://127.0.0.1:8080/")]);
        let two = told(&["https://costlens.example", "eu-1=http://10.0.0.7:8080"], own).unwrap();
        assert_eq!(two, [pair("", "https://costlens.example/"), pair("eu-1", "http://10.0.0.7:8080/")]);
        assert_eq!(told(&["http://[::1]:8080"], None).unwrap(), [pair("", "http://[::1]:8080/")]);
    }

    #[test]
    fn what_is_no_address_or_is_named_twice_refuses_the_start() {
        for entry in
            ["EU=https://a.example", "a b=https://a.example", "eu=ftp://a.example", "eu=", "costlens.example"]
        {
            let why = told(&[entry], None).unwrap_err();
            assert!(why.contains(entry), "{why}");
        }
        assert!(told(&["a=https://a.example", "a=https://b.example"], None).unwrap_err().contains("twice"));
        assert!(!told(&["https://user:secret@a.example"], None).unwrap_err().contains("secret"));
    }
}
