//! From a model's name to the connection that serves it.

use costlens_domain::pricing::Catalogue;
use costlens_domain::providers::{DEMO, Dialect, Provider, provider};
use costlens_domain::ConnectionId;
use zeroize::Zeroizing;

/// One of a tenant's connections, opened and ready to be called.
pub struct Target {
    /// The connection.
    pub id: ConnectionId,
    /// What its owner calls it.
    pub name: String,
    /// The vendor.
    pub provider: &'static Provider,
    /// Where the calls go, checked; no trailing slash.
    pub endpoint: costlens_egress::EndpointUrl,
    /// The vendor's credential; `None` for an endpoint without one.
    pub secret: Option<Zeroizing<String>>,
    /// The models a custom endpoint serves.
    pub models: Vec<String>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("id", &self.id).field("provider", &self.provider.name).finish_non_exhaustive()
    }
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub enum Route<'a> {
    /// To the built-in provider.
    Demo {
        /// The model's name without the prefix.
        model: &'a str,
    },
    /// To a connection.
    Connection {
        /// Which one.
        target: &'a Target,
        /// The model's name as the vendor knows it.
        model: &'a str,
    },
}

/// Finds the route, or says which names are near.
///
/// In this order: a name that a custom endpoint lists; a name that a connected vendor's price list knows;
/// `connection/model` or `provider/model`; a name of a connected vendor's families, priced or not. Among several
/// connections the oldest wins.
pub fn find<'a>(
    targets: &'a [Target],
    catalogue: &Catalogue,
    dialect: Dialect,
    model: &'a str,
) -> Result<Route<'a>, Vec<String>> {
    if let Some(model) = model.strip_prefix(DEMO).and_then(|rest| rest.strip_prefix('/'))
        && catalogue.find(DEMO, model).is_some()
    {
        return Ok(Route::Demo { model });
    }
    let speaking = || targets.iter().filter(|target| target.provider.dialect == dialect);
    let to = |target| Route::Connection { target, model };

    if let Some(target) = speaking().find(|target| target.models.iter().any(|listed| listed == model)) {
        return Ok(to(target));
    }
    if let Some(target) = speaking().find(|target| catalogue.find(target.provider.name, model).is_some()) {
        return Ok(to(target));
    }
    if let Some((prefix, model)) = model.split_once('/')
        && !model.is_empty()
    {
        let named = speaking().find(|target| target.name == prefix);
        if let Some(target) = named.or_else(|| speaking().find(|target| target.provider.name == prefix)) {
            return Ok(Route::Connection { target, model });
        }
    }
    let of_family = |target: &&Target| target.provider.families.iter().any(|family| model.starts_with(family));
    if let Some(target) = speaking().find(of_family) {
        return Ok(to(target));
    }
    Err(near_names(targets, catalogue, dialect, model))
}

/// Names that would have been routed: near ones first, of the tenant's own connections only.
fn near_names(targets: &[Target], catalogue: &Catalogue, dialect: Dialect, model: &str) -> Vec<String> {
    const SHOWN: usize = 3;
    const CONSIDERED: usize = 200;
    let bare = model.rsplit('/').next().unwrap_or(model);
    let speaking: Vec<_> = targets.iter().filter(|target| target.provider.dialect == dialect).collect();
    let routed = |name: &String| speaking.iter().any(|target| catalogue.find(target.provider.name, name).is_some());
    let mut names: Vec<String> = speaking.iter().flat_map(|target| target.models.iter().cloned()).collect();
    names.extend(catalogue.nearest(bare, CONSIDERED).into_iter().filter(routed));
    names.push(format!("{DEMO}/echo"));
    names.sort_by_key(|name| strsim::damerau_levenshtein(name, bare));
    names.dedup();
    names.truncate(SHOWN);
    names
}

/// The vendor that a connection names; `None` for one that this release does not know.
#[must_use]
pub fn known_provider(name: &str) -> Option<&'static Provider> {
    provider(name).filter(|provider| provider.connectable())
}
