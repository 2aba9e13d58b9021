//! Becoming a user, and finding back in. Both begin with a mail, because only who reads an address may use it; and both
//! answer everybody alike, so that nobody learns from them who is registered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use costlens_domain::audit::{Action, Actor};
use costlens_domain::members::normal_email;
use costlens_domain::{ProblemCode, Role, TenantId, UserId, UserLinkId};
use costlens_identity::vouching::Vouchers;
use costlens_store::{Membership, NewUser, Tenant, User, UserLinkPurpose};
use costlens_vault::{PersonalPurpose, read_personal_token};
use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::audit::By;
use crate::clerk::ClerkSignIn;
use crate::error::ApiError;
use crate::limits::{self, Try};
use crate::opening::{self, Proof};
use crate::sessions::{SignedIn, view};
use crate::users::{mail, new_password};
use crate::{ApiParts, SignUp, Tag, known_browser, named, second_factor};

/// Somebody's address.
#[derive(Object)]
pub struct EmailAddress {
    /// The address, which gets a mail.
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
}

/// What makes a user of whoever read the mail.
#[derive(Object)]
pub struct CompleteRegistration {
    /// What stands behind `#t=` in the mail's link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
    /// What to be called.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// What the new organisation is called.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub tenant_name: String,
    /// The password: at least 10 characters, at most 71 bytes.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub password: String,
}

/// What sets a new password.
#[derive(Object)]
pub struct CompletePasswordReset {
    /// What stands behind `#t=` in the mail's link.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub token: String,
    /// The password from now on.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub password: String,
}

/// A mail is on its way, if there is anybody to get one.
#[derive(ApiResponse)]
pub enum MailUnderway {
    /// Look into the mailbox.
    #[oai(status = 202)]
    Underway,
}

/// The new password is set.
#[derive(ApiResponse)]
pub enum PasswordReset {
    /// Every sign-in has ended; sign in with the new password.
    #[oai(status = 204)]
    Set,
}

/// How one may sign in here.
#[derive(Object)]
pub struct SignInOptions {
    /// Whether anybody may register. Where not, people are invited.
    pub registration: bool,
    /// Who vouches for people here: `google`, `github`.
    pub providers: Vec<String>,
    /// Whether mail is sent at all.
    pub mail_configured: bool,
    /// Where people sign in instead, if Clerk keeps them; null where they sign in here.
    #[oai(nullable)]
    pub clerk: Option<ClerkSignIn>,
}

pub(crate) struct RegistrationsApi(pub(crate) Arc<ApiParts>);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Sessions")]
impl RegistrationsApi {
    /// How one may sign in here
    #[oai(path = "/sign-in-options", method = "get", operation_id = "get_sign_in_options")]
    #[expect(clippy::unused_async, reason = "the framework's handlers are async")]
    async fn options(&self) -> Result<Json<SignInOptions>, ApiError> {
        let offered = self.0.clerk.is_none().then_some(&self.0.vouchers);
        Ok(Json(SignInOptions {
            registration: self.0.clerk.is_none() && self.0.sign_up == SignUp::Open,
            providers: offered
                .into_iter()
                .flat_map(Vouchers::offered)
                .map(|voucher| voucher.as_str().to_owned())
                .collect(),
            mail_configured: self.0.mail_configured,
            clerk: self.0.clerk_sign_in(),
        }))
    }

    /// Ask to be registered
    ///
    /// The address gets a mail with a link, or, where somebody signs in with it already, a mail that says so. The
    /// answer is the same.
    #[oai(path = "/registrations", method = "post", operation_id = "create_registration")]
    async fn register(&self, request: &Request, body: Json<EmailAddress>) -> Result<MailUnderway, ApiError> {
        self.0.local_people()?;
        if self.0.sign_up != SignUp::Open {
            let detail = "registration is closed here; ask somebody of your organisation to invite you";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        let email = address(&body.0.email)?;
        limits::take(&self.0, request, Try::Registration { email: &email }).await?;
        let mut tx = self.0.store.system().await?.begin().await?;
        let known = tx.system()?.is_email_known(&email).await?;
        let purpose = if known { UserLinkPurpose::AccountExists } else { UserLinkPurpose::Registration };
        mail(&self.0, &mut tx, purpose, (&email, None)).await?;
        tx.commit().await?;
        Ok(MailUnderway::Underway)
    }

    /// Become a user
    ///
    /// Makes the user and an organisation of its own, and signs it in. The link works once, for two hours.
    #[oai(path = "/registrations/complete", method = "post", operation_id = "complete_registration")]
    async fn complete(
        &self,
        request: &Request,
        body: Json<CompleteRegistration>,
    ) -> Result<SignedIn, ApiError> {
        limits::take(&self.0, request, Try::Link).await?;
        self.0.local_people()?;
        let (name, tenant_name) = (named(&body.0.name)?, named(&body.0.tenant_name)?);
        let link = self.read(PersonalPurpose::Registration, &body.0.token)?;
        let hash = new_password(&self.0, "password", &body.0.password).await?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.system().await?.begin().await?;
        let link = tx.system()?.use_user_link(link, UserLinkPurpose::Registration, now).await?;
        let link = link.ok_or_else(used_up)?;
        if tx.system()?.is_email_known(&link.email).await? {
            return Err(used_up());
        }
        let user = create_user(&self.0, &mut tx, (name, &link.email, Some(hash.0)), now).await?;
        tx.system()?.void_user_links(&link.email, UserLinkPurpose::Registration, now).await?;
        let tenant = Tenant::new(TenantId::new(now, self.0.entropy.for_id()), tenant_name, now);
        tx.system()?.create_tenant(&tenant).await?;
        tx.system()?.join(tenant.id, user.id, Role::Owner, now).await?;
        let by = By::of(request, Actor::User(user.id));
        let event = by.event(&self.0, Action::TenantRegistered, Some(tenant.id.to_string()), json!({}));
        tx.system()?.audit_of(tenant.id, &event).await?;
        let membership = Membership { tenant, role: Role::Owner, by_single_sign_on: false, one_hour: false };
        let proof = Proof::by("registration", false);
        let opened = opening::open(&self.0, &mut tx, request, (&user, &membership), &proof, None).await?;
        tx.commit().await?;
        opened.give(&self.0, request);
        view(&self.0, opened.id).await.map(|view| SignedIn::Created(Json(view)))
    }

    /// Ask for a new password
    ///
    /// Who signs in with this address by password gets a mail with a link; nobody else gets one. The answer is the
    /// same.
    #[oai(path = "/password-resets", method = "post", operation_id = "create_password_reset")]
    async fn reset(&self, request: &Request, body: Json<EmailAddress>) -> Result<MailUnderway, ApiError> {
        self.0.local_people()?;
        let email = address(&body.0.email)?;
        limits::take(&self.0, request, Try::PasswordReset { email: &email }).await?;
        let mut tx = self.0.store.system().await?.begin().await?;
        let user = tx.system()?.user_by_login(&email).await?;
        let user = user.filter(|user| user.disabled_at.is_none()).map(|user| user.id);
        // The same is written whoever has the address, so that it takes as long; the job finds out whom to write to.
        mail(&self.0, &mut tx, UserLinkPurpose::PasswordReset, (&email, user)).await?;
        tx.commit().await?;
        Ok(MailUnderway::Underway)
    }

    /// Set a new password
    ///
    /// Ends every sign-in. A second factor stays, and is asked for at the next sign-in. The link works once, for two
    /// hours.
    #[oai(path = "/password-resets/complete", method = "post", operation_id = "complete_password_reset")]
    async fn complete_reset(
        &self,
        request: &Request,
        body: Json<CompletePasswordReset>,
    ) -> Result<PasswordReset, ApiError> {
        limits::take(&self.0, request, Try::Link).await?;
        self.0.local_people()?;
        let link = self.read(PersonalPurpose::PasswordReset, &body.0.token)?;
        let hash = new_password(&self.0, "password", &body.0.password).await?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.system().await?.begin().await?;
        let link = tx.system()?.use_user_link(link, UserLinkPurpose::PasswordReset, now).await?;
        let user = link.as_ref().and_then(|link| link.user_id).ok_or_else(used_up)?;
        let user = tx.system()?.lock_user(user).await?;
        if user.disabled_at.is_some() || user.password_hash.is_none() {
            return Err(used_up());
        }
        tx.system()?.set_password(user.id, &hash.0, now).await?;
        tx.system()?.end_sign_ins(user.id, None, now).await?;
        tx.system()?.void_user_links(&user.email, UserLinkPurpose::PasswordReset, now).await?;
        mail(&self.0, &mut tx, UserLinkPurpose::PasswordChanged, (&user.email, Some(user.id))).await?;
        let by = By::of(request, Actor::Link);
        for membership in tx.system()?.memberships(user.id).await? {
            let event = by.event(&self.0, Action::PasswordReset, Some(user.id.to_string()), json!({}));
            tx.system()?.audit_of(membership.tenant.id, &event).await?;
        }
        tx.commit().await?;
        // Whoever reads the account's mail is its person, however many strangers tried passwords.
        limits::forgive(&self.0, &user.email, None).await;
        known_browser::remember(&self.0, request, user.id, None);
        Ok(PasswordReset::Set)
    }
}

impl RegistrationsApi {
    fn read(&self, purpose: PersonalPurpose, token: &str) -> Result<UserLinkId, ApiError> {
        let row = read_personal_token(&self.0.keyring, purpose, token).ok_or_else(used_up)?;
        Ok(UserLinkId::from(row))
    }
}

/// Makes a user in this transaction.
pub(crate) async fn create_user(
    parts: &ApiParts,
    tx: &mut costlens_store::SystemTx,
    (name, email, password_hash): (&str, &str, Option<String>),
    now: DateTime<Utc>,
) -> Result<User, ApiError> {
    let id = UserId::new(now, parts.entropy.for_id());
    let new = NewUser {
        id,
        name: name.to_owned(),
        email: email.to_owned(),
        password_hash,
        wrapped_key: second_factor::wrapped_key(parts, id),
        created_at: now,
    };
    tx.system()?.create_user(&new).await?;
    Ok(tx.system()?.user(id).await?)
}

pub(crate) fn address(text: &str) -> Result<String, ApiError> {
    normal_email(text)
        .ok_or_else(|| ApiError::field("email", "is not an e-mail address such as someone@example.com"))
}

pub(crate) fn used_up() -> ApiError {
    let detail = "the link is incomplete, was used, or is too old; ask for a new one";
    ApiError::new(ProblemCode::LinkInvalid, detail)
}
