//! Where the keys come from that seal: the environment, a local file, or AWS KMS.
//!
//! A list names them all by version, `v3:arn:aws:kms:…,v2:<key>,v1:<key>`: the highest wraps what is made from now on,
//! and the others open what they wrapped. So a change of the master key, also from one kind to the other, is one more
//! entry, until the rotation has wrapped everything anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use costlens_api::trust::Subprocessor;
use costlens_aws::{AwsKms, KmsSettings};
use costlens_domain::ports::Clock;
use costlens_store::Store;
use costlens_vault::{KeyService, KeySource, Keyring, MasterKey, MasterKeyError, OsEntropy, TagsKey};

use crate::boot::Failure;
use crate::outward::host_of;
use crate::settings::{default_key_file, given};

/// The row in which the master key for tags stands, where a key service wraps.
const TAGS: &str = "tags";

/// How a process finds the keys that seal, and those that came before.
#[derive(Args, Debug, Clone)]
pub(crate) struct KeyArgs {
    /// The keys that seal, by version: `v3:arn:aws:kms:…,v2:<key>,v1:<key>`. The highest wraps what is made from now on,
    /// the others open what they wrapped.
    #[arg(long, env = "COSTLENS_MASTER_KEYS", hide_env_values = true, value_delimiter = ',')]
    pub(crate) master_keys: Vec<String>,
    /// The one key that seals: 32 bytes as 64 hexadecimal digits or in base64.
    #[arg(long, env = "COSTLENS_MASTER_KEY", hide_env_values = true)]
    pub(crate) master_key: Option<String>,
    /// Older keys beside the one, newest first: they open what they wrapped, until the rotation has wrapped it anew.
    #[arg(long, env = "COSTLENS_MASTER_KEY_PREVIOUS", hide_env_values = true, value_delimiter = ',')]
    pub(crate) master_key_previous: Vec<String>,
    /// The local key file, used only without a master key and never in production.
    #[arg(long, env = "COSTLENS_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Another address of AWS KMS than the public one of the key's region: a VPC endpoint's.
    #[arg(long, env = "COSTLENS_KMS_URL")]
    pub(crate) kms_url: Option<String>,
}

/// The keys as they were given, newest first.
#[derive(Debug, Default)]
pub(crate) struct KeyPlan {
    /// Local master keys.
    pub(crate) masters: Vec<MasterKey>,
    services: Vec<KmsSettings>,
    /// Whether the newest of all is a service's.
    service_wraps: bool,
}

/// What is no good about a list of keys. Shows none of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadKeys {
    #[error("{name}: entry {entry} is not like v2:<key>, with a number of its own")]
    Entry { name: &'static str, entry: usize },
    #[error("{name}: entry {entry} is {error}")]
    Arn { name: &'static str, entry: usize, error: costlens_aws::kms::KeyArnError },
    #[error("{name}: {error}")]
    Key { name: &'static str, error: MasterKeyError },
    #[error("COSTLENS_MASTER_KEYS and COSTLENS_MASTER_KEY are both set: one of them lists all keys")]
    Both,
    #[error("COSTLENS_MASTER_KEYS is not set, and there is no key file of a server on this machine")]
    NoFile,
    #[error(transparent)]
    File(#[from] MasterKeyError),
}

impl KeyArgs {
    /// Whether the operator gave keys, and not only a file.
    pub(crate) fn are_given(&self) -> bool {
        self.master_keys.iter().any(|text| given(Some(text)).is_some())
            || given(self.master_key.as_deref()).is_some()
    }

    /// The keys of a process beside others: it makes no key of its own, which would open nothing of theirs.
    pub(crate) fn existing(&self) -> Result<KeyPlan, BadKeys> {
        if !self.are_given() && !self.file().exists() {
            return Err(BadKeys::NoFile);
        }
        Ok(self.plan()?.0)
    }

    /// The keys, and where the present one came from. Makes the local key file where there is neither.
    pub(crate) fn plan(&self) -> Result<(KeyPlan, KeySource), BadKeys> {
        let listed: Vec<&str> = self.master_keys.iter().filter_map(|text| given(Some(text))).collect();
        let one = given(self.master_key.as_deref());
        let mut plan = KeyPlan::default();
        let source = match (listed.as_slice(), one) {
            ([], Some(text)) => {
                plan.add(text).map_err(|error| BadKeys::Key { name: "COSTLENS_MASTER_KEY", error })?;
                KeySource::Operator
            }
            ([], None) => {
                let path = self.file();
                match MasterKey::load_or_create(&path, &OsEntropy) {
                    Ok((key, source)) => {
                        plan.masters.push(key);
                        source
                    }
                    // Not one key: a list of them, a line each or with commas.
                    Err(MasterKeyError::Shape) => {
                        let text = MasterKey::read_file(&path)?;
                        let entries: Vec<&str> =
                            text.split([',', '\n']).filter_map(|text| given(Some(text))).collect();
                        plan.add_list("the key file", &entries)?;
                        KeySource::File(path)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            (_, Some(_)) => return Err(BadKeys::Both),
            (entries, None) => {
                plan.add_list("COSTLENS_MASTER_KEYS", entries)?;
                KeySource::Operator
            }
        };
        for text in self.master_key_previous.iter().filter_map(|text| given(Some(text))) {
            plan.add(text).map_err(|error| BadKeys::Key { name: "COSTLENS_MASTER_KEY_PREVIOUS", error })?;
        }
        if let Some(url) = given(self.kms_url.as_deref()) {
            plan.services = plan.services.into_iter().map(|one| one.at(Some(url.to_owned()))).collect();
        }
        Ok((plan, source))
    }

    fn file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(default_key_file)
    }
}

impl KeyPlan {
    fn add(&mut self, text: &str) -> Result<(), MasterKeyError> {
        self.masters.push(MasterKey::parse(text)?);
        Ok(())
    }

    /// Entries like `v2:<key>` or `v3:<ARN>`, in any order.
    fn add_list(&mut self, name: &'static str, entries: &[&str]) -> Result<(), BadKeys> {
        let mut versions: Vec<(u32, usize, &str)> = Vec::new();
        for (index, text) in entries.iter().enumerate() {
            let entry = index + 1;
            let parsed = text.split_once(':').and_then(|(version, key)| {
                Some((version.trim().strip_prefix('v')?.parse::<u32>().ok()?, entry, key.trim()))
            });
            let parsed = parsed.filter(|(version, ..)| !versions.iter().any(|(known, ..)| known == version));
            versions.push(parsed.ok_or(BadKeys::Entry { name, entry })?);
        }
        versions.sort_unstable_by_key(|(version, ..)| std::cmp::Reverse(*version));
        for (index, (_, entry, key)) in versions.into_iter().enumerate() {
            if key.starts_with("arn:") {
                let settings = KmsSettings::parse(key);
                self.services.push(settings.map_err(|error| BadKeys::Arn { name, entry, error })?);
                self.service_wraps |= index == 0;
            } else {
                self.add(key).map_err(|error| BadKeys::Key { name, error })?;
            }
        }
        Ok(())
    }

    /// The key services, in the words of the page that lists whom this process calls: a line for each host.
    pub(crate) fn outside(&self) -> Vec<Subprocessor> {
        let hosts: BTreeSet<_> = self.services.iter().map(|one| host_of(&one.address())).collect();
        let one = |host| Subprocessor {
            name: "AWS Key Management Service".to_owned(),
            host,
            purpose: "Makes, wraps and opens the keys that seal secrets, prompts and answers.".to_owned(),
            data: "Those keys, never what they seal; with each your tenant's id, the id of the API key \
                   whose texts it seals, its purpose and its version, which AWS writes down."
                .to_owned(),
            your_choice: false,
        };
        hosts.into_iter().map(one).collect()
    }

    /// Whether the store is needed to open the ring, and a service asked.
    pub(crate) const fn wants_store(&self) -> bool {
        self.service_wraps
    }

    /// The ring. Where a service wraps, its master key for tags is in the store, wrapped; it is made by whoever comes
    /// first. Fails where the service does not open it: without it no link of a mail could be made or read.
    pub(crate) async fn open(
        self,
        store: Option<&Store>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Keyring, Failure> {
        let mut services: Vec<Arc<dyn KeyService>> = Vec::new();
        for settings in self.services {
            services.push(Arc::new(AwsKms::new(settings).await));
        }
        let mut masters = self.masters.into_iter();
        let current = match store.filter(|_| self.service_wraps) {
            Some(store) => tags_key(&services, store, &**clock).await?,
            None => {
                masters.next().ok_or("the keys of this installation are opened with its database only")?
            }
        };
        Ok(Keyring::new(current).with_older(masters.collect()).with_services(
            services,
            self.service_wraps,
            clock,
        ))
    }
}

async fn tags_key(
    services: &[Arc<dyn KeyService>],
    store: &Store,
    clock: &dyn Clock,
) -> Result<MasterKey, Failure> {
    let newest = services.first().ok_or("no key service")?;
    let mut found = store.system().await?.service_key(TAGS).await?;
    if found.is_none() {
        let made = TagsKey::make(&**newest).await?;
        let mut system = store.system().await?;
        system.add_service_key(TAGS, &made.0, clock.now()).await?;
        // Of two who come first at once, one wins.
        found = system.service_key(TAGS).await?;
    }
    let wrapped = found.ok_or("the master key for tags is gone from the database")?;
    let (key, is_newest) = TagsKey::open(services, &wrapped).await?;
    if !is_newest {
        let anew = TagsKey::wrap(&**newest, &key).await?;
        store.system().await?.replace_service_key(TAGS, &wrapped, &anew.0).await?;
    }
    Ok(key)
}

/// Where a local key lives, for the note that says so at the start.
pub(crate) fn note(source: &KeySource) -> Option<String> {
    let of_file = |path: &Path| {
        format!(
            "The key that seals provider credentials lives in {} (this machine's default; set COSTLENS_MASTER_KEYS \
             to keep it elsewhere). Without it they cannot be read.",
            path.display()
        )
    };
    match source {
        KeySource::Operator => None,
        KeySource::File(path) | KeySource::NewFile(path) => Some(of_file(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "8f1d0c6b7a5e4932f0e1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5e4f3a2b";
    const TWO: &str = "2b8f1d0c6b7a5e4932f0e1d2c3b4a5968778695a4b3c2d1e0f9a8b7c6d5e4f3a";
    const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd";

    fn args(keys: &[&str]) -> KeyArgs {
        KeyArgs {
            master_keys: keys.iter().map(|text| (*text).to_owned()).collect(),
            master_key: None,
            master_key_previous: Vec::new(),
            key_file: None,
            kms_url: None,
        }
    }

    fn header(plan: KeyPlan) -> [u8; 5] {
        let mut masters = plan.masters.into_iter();
        Keyring::new(masters.next().unwrap()).wrapped_header()
    }

    #[test]
    fn the_highest_version_is_the_present_one_in_whatever_order_they_stand() {
        let alone = header(args(&[&format!("v1:{TWO}")]).plan().unwrap().0);
        for list in
            [[format!("v10:{TWO}"), format!("v9:{ONE}")], [format!("v1:{ONE}"), format!(" v2:{TWO} ")]]
        {
            let (plan, source) = args(&[&list[0], &list[1]]).plan().unwrap();
            assert_eq!((plan.masters.len(), source), (2, KeySource::Operator));
            assert_eq!(header(plan), alone);
        }
    }

    #[test]
    fn a_key_service_wraps_if_it_is_the_newest_and_else_only_opens() {
        let (plan, _) = args(&[&format!("v2:{ARN}"), &format!("v1:{ONE}")]).plan().unwrap();
        assert!(plan.service_wraps && plan.services.len() == 1 && plan.masters.len() == 1);
        let (plan, _) = args(&[&format!("v2:{ARN}"), &format!("v3:{ONE}")]).plan().unwrap();
        assert!(!plan.service_wraps && plan.services.len() == 1 && plan.masters.len() == 1);
    }

    #[test]
    fn a_list_that_is_none_is_refused_without_showing_a_key() {
        for list in [
            vec![ONE.to_owned()],
            vec![format!("v1:{ONE}"), format!("v1:{TWO}")],
            vec![format!("1:{ONE}")],
            vec![format!("v-1:{ONE}")],
            vec![format!("v1:{}", &ONE[1..])],
            vec![format!("v1:{}", "00".repeat(32))],
            vec!["v1:arn:aws:kms:eu-west-1:111122223333:alias/x".to_owned()],
        ] {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            let refused = args(&list).plan().unwrap_err().to_string();
            assert!(refused.contains("COSTLENS_MASTER_KEYS") && !refused.contains(&ONE[10..20]), "{refused}");
        }
        let both = KeyArgs { master_key: Some(ONE.to_owned()), ..args(&[&format!("v1:{TWO}")]) };
        assert!(matches!(both.plan(), Err(BadKeys::Both)));
    }

    #[test]
    fn one_key_and_those_before_it_still_work_and_a_file_may_hold_a_list() {
        let one = KeyArgs {
            master_key: Some(TWO.to_owned()),
            master_key_previous: vec![String::new(), ONE.to_owned()],
            ..args(&[])
        };
        let (plan, _) = one.plan().unwrap();
        assert_eq!(plan.masters.len(), 2);
        let alone = header(plan);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, format!("v1:{ONE}\nv2:{TWO}\n")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
        let file = KeyArgs { key_file: Some(path.clone()), ..args(&[]) };
        let (plan, source) = file.plan().unwrap();
        assert_eq!((plan.masters.len(), source), (2, KeySource::File(path.clone())));
        assert_eq!(header(plan), alone);
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(matches!(file.plan(), Err(BadKeys::File(MasterKeyError::Exposed { .. }))));
    }
}
