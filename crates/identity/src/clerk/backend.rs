//! Clerk's Backend API, as far as it is needed: six questions that change nothing, and one request that does, for an
//! account that is erased.

use std::time::Duration;

use costlens_domain::members::normal_email;
use costlens_domain::outer::{OuterFact, Standing};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{ClerkToken, role};
use crate::fetch::{Fetch, FetchError};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many of a kind come with one answer; the answer's size is bounded, too.
const PAGE: usize = 50;
/// The most answers that are asked for of one list.
const MOST_PAGES: usize = 200;
/// How many people are asked for at once.
pub const PEOPLE_AT_ONCE: usize = 20;

/// The Backend API.
pub struct Backend {
    url: String,
    key: Zeroizing<String>,
    fetch: Fetch,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A person there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub fact: OuterFact,
    /// What it is called; empty where it does not say.
    pub name: String,
    /// Its first address, if it is known to read it.
    pub email: Option<String>,
}

/// A membership there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belonging {
    /// The membership.
    pub fact: OuterFact,
    /// Its id.
    pub id: String,
    /// Where.
    pub organization: String,
    /// What the organisation is called.
    pub organization_name: String,
}

/// What is so of a token's session and person at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the session goes on, and is the person's.
    pub is_active: bool,
    /// The person; `None`: there is none.
    pub person: Option<Person>,
    /// All that the person belongs to.
    pub memberships: Vec<Belonging>,
}

#[derive(Deserialize)]
struct ApiSession {
    user_id: String,
    status: String,
}

#[derive(Deserialize)]
struct ApiUser {
    id: String,
    updated_at: i64,
    #[serde(default)]
    banned: bool,
    first_name: Option<String>,
    last_name: Option<String>,
    username: Option<String>,
    primary_email_address_id: Option<String>,
    #[serde(default)]
    email_addresses: Vec<ApiAddress>,
}

#[derive(Deserialize)]
struct ApiAddress {
    id: String,
    email_address: String,
    verification: Option<ApiVerification>,
}

#[derive(Deserialize)]
struct ApiVerification {
    status: String,
}

#[derive(Deserialize)]
struct ApiOrganization {
    id: String,
    name: String,
    #[serde(default)]
    updated_at: i64,
}

#[derive(Deserialize)]
struct ApiMembership {
    id: String,
    role: String,
    updated_at: i64,
    organization: ApiOrganization,
    public_user_data: Option<ApiPublicUser>,
}

#[derive(Deserialize)]
struct ApiPublicUser {
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct Listed<T> {
    data: Vec<T>,
}

impl Backend {
    pub(super) fn new(url: String, key: Zeroizing<String>, fetch: Fetch) -> Self {
        Self { url, key, fetch }
    }

    /// What is so of a token's session, person and memberships at this moment.
    pub async fn check(&self, token: &ClerkToken) -> Result<Checked, FetchError> {
        let (person, session) = (&token.person, &token.session);
        let of_session: Option<ApiSession> = self.get(&format!("/v1/sessions/{session}")).await?;
        let is_active = of_session.is_some_and(|of| of.status == "active" && of.user_id == *person);
        let Some(found) = self.person(person).await? else {
            return Ok(Checked { is_active, person: None, memberships: Vec::new() });
        };
        let memberships = self.list(&format!("/v1/users/{person}/organization_memberships")).await?;
        // Whoever went in between belongs nowhere.
        let memberships = memberships.unwrap_or_default().into_iter();
        let memberships = memberships.filter_map(|of| belonging(of, Some(person))).collect();
        Ok(Checked { is_active, person: Some(found), memberships })
    }

    /// One person; `None` where there is none.
    pub async fn person(&self, id: &str) -> Result<Option<Person>, FetchError> {
        let user: Option<ApiUser> = self.get(&format!("/v1/users/{id}")).await?;
        Ok(user.filter(|user| user.id == id).map(Person::from))
    }

    /// Those of these people that there are, [`PEOPLE_AT_ONCE`] at most.
    pub async fn people(&self, ids: &[String]) -> Result<Vec<Person>, FetchError> {
        let mut wanted = String::new();
        for id in ids {
            wanted.extend(["&user_id=", id]);
        }
        let found: Option<Vec<ApiUser>> =
            self.get(&format!("/v1/users?limit={PEOPLE_AT_ONCE}{wanted}")).await?;
        // That there is no such list is no word about the people.
        Ok(found.ok_or(FetchError::Status(404))?.into_iter().map(Person::from).collect())
    }

    /// An organisation and all of its memberships; `None` where there is none.
    pub async fn organization(&self, id: &str) -> Result<Option<(OuterFact, Vec<Belonging>)>, FetchError> {
        let found: Option<ApiOrganization> = self.get(&format!("/v1/organizations/{id}")).await?;
        let Some(found) = found.filter(|found| found.id == id) else { return Ok(None) };
        let memberships = self.list(&format!("/v1/organizations/{id}/memberships")).await?;
        let Some(memberships) = memberships else { return Ok(None) };
        let memberships = memberships.into_iter().filter_map(|of| belonging(of, None)).collect();
        let (version, name) = (found.updated_at, Some(found.name));
        Ok(Some((OuterFact::Organization { id: found.id, version, name, gone: false }, memberships)))
    }

    /// Deletes an organisation with its memberships; one that is gone counts. Its people stay.
    pub async fn delete_organization(&self, id: &str) -> Result<(), FetchError> {
        if !is_id(id) {
            return Err(FetchError::Shape);
        }
        let url = format!("{}/v1/organizations/{id}", self.url);
        match self.fetch.delete(&url, &self.key, PATIENCE).await {
            Err(FetchError::Status(404)) => Ok(()),
            answer => answer,
        }
    }

    /// Every page of a list. One that has no end is an error, so that nobody is taken for gone who stands behind it.
    async fn list(&self, path: &str) -> Result<Option<Vec<ApiMembership>>, FetchError> {
        let mut all = Vec::new();
        for page in 0..MOST_PAGES {
            let path = format!("{path}?limit={PAGE}&offset={}", page * PAGE);
            let Some(listed) = self.get::<Listed<ApiMembership>>(&path).await? else { return Ok(None) };
            let is_last = listed.data.len() < PAGE;
            all.extend(listed.data);
            if is_last {
                return Ok(Some(all));
            }
        }
        Err(FetchError::Shape)
    }

    /// `None` for what is not there.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, FetchError> {
        match self.fetch.get_json(&format!("{}{path}", self.url), Some(&self.key), PATIENCE).await {
            Ok(found) => Ok(Some(found)),
            Err(FetchError::Status(404)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<ApiUser> for Person {
    fn from(user: ApiUser) -> Self {
        let first =
            user.email_addresses.iter().find(|of| Some(&of.id) == user.primary_email_address_id.as_ref());
        let verified = first.filter(|of| of.verification.as_ref().is_some_and(|of| of.status == "verified"));
        let email = verified.and_then(|of| normal_email(&of.email_address));
        let words = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = if words.trim().is_empty() { user.username.unwrap_or_default() } else { words };
        let standing = if user.banned { Standing::Barred } else { Standing::Good };
        let fact = OuterFact::Person { id: user.id.clone(), version: user.updated_at, standing };
        Self { id: user.id, fact, name, email }
    }
}

/// A membership of this person, or of whom it names. Whose person is unknown is nobody's.
fn belonging(of: ApiMembership, person: Option<&str>) -> Option<Belonging> {
    let named = of.public_user_data.and_then(|of| of.user_id);
    let person = person.map(str::to_owned).or(named)?;
    let (organization, organization_name) = (of.organization.id, of.organization.name);
    let fact = OuterFact::Membership {
        id: of.id.clone(),
        version: of.updated_at,
        organization: organization.clone(),
        person,
        role: Some(role(&of.role)),
    };
    Some(Belonging { fact, id: of.id, organization, organization_name })
}

/// What may stand in a path as an id.
pub(super) fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
