//! Its people, and those whom Clerk keeps.

use chrono::TimeDelta;
use costlens_domain::outer::OuterFact;
use costlens_domain::{InvitationId, Role, SsoDomainId, SsoProviderId, TenantId, UserId, UserLinkId};
use costlens_jobs::inbox::{HeedClerk, keep};
use costlens_store::testing::unlike_bytes;
use costlens_store::{
    InboxEvent, Invitation, NewExchangeCode, NewUser, SsoDomain, SsoProvider, UserLink, UserLinkPurpose,
    UserMail, UserMailState,
};
use costlens_workers::WorkerParts;

use super::{Account, CANARY, ISSUER, seal};
use crate::Office;

impl Account {
    /// A member with everything that a person can have, and somebody who is asked to become one.
    pub(super) async fn people(&self, parts: &WorkerParts) {
        let now = parts.clock.now();
        let user = UserId::new(now, unlike_bytes());
        let email = format!("{CANARY}-{user}@people.example");
        let wrapped = parts.keyring.new_data_key(TenantId::from(user.uuid()), 1, &*parts.entropy);
        let mut system = parts.store.system().await.unwrap();
        let new = NewUser {
            id: user,
            name: format!("{CANARY} person"),
            email: email.clone(),
            password_hash: Some("$2b$12$not-a-hash".to_owned()),
            wrapped_key: wrapped.0,
            created_at: now,
        };
        system.create_user(&new).await.unwrap();
        system.join(self.tenant, user, Role::Analyst, now).await.unwrap();
        system
            .link_identity(user, "https://accounts.example", &format!("{CANARY}-{user}"), now)
            .await
            .unwrap();
        // Somebody who is alone: an account of an organisation is erased at Clerk, too, which a test says that has one.
        system.bind_outer(self.tenant, ISSUER, &format!("user_{}", self.tenant), now).await.unwrap();
        system.confirm_totp(user, &[[7; 32]], now).await.unwrap();
        let link = UserLink {
            id: UserLinkId::new(now, unlike_bytes()),
            purpose: UserLinkPurpose::PasswordReset,
            email: email.clone(),
            user_id: Some(user),
            created_at: now,
            expires_at: now + TimeDelta::hours(2),
            mail: UserMail { state: UserMailState::Queued, doubts: 0 },
        };
        system.create_user_link(&link).await.unwrap();
        let mut hash = [8; 32];
        hash[..10].copy_from_slice(&unlike_bytes());
        let end = now + TimeDelta::minutes(1);
        let code = NewExchangeCode { user, method: "google", provider: None, proven_at: None };
        system.create_exchange_code((&hash, &[9; 32]), &code, now, end).await.unwrap();
        let named = ("https://idp.example", email.as_str());
        system.link_sso_identity(self.tenant, named, user, now).await.unwrap();
        drop(system);
        let mut tx = parts.store.tenant(self.tenant).await.unwrap();
        let provider = SsoProviderId::new(now, unlike_bytes());
        let place = ("sso_provider", "sealed_secret", provider.uuid());
        let provider = SsoProvider {
            tenant_id: self.tenant,
            id: provider,
            issuer: format!("https://{CANARY}.example"),
            client_id: CANARY.to_owned(),
            sealed_secret: seal(parts, &mut tx, place, CANARY).await,
            default_role: Role::Viewer,
            required: false,
            created_at: now,
            changed_at: now,
        };
        tx.create_sso_provider(&provider).await.unwrap();
        let domain = SsoDomain {
            id: SsoDomainId::new(now, unlike_bytes()),
            domain: format!("{CANARY}.example").to_lowercase(),
            token: CANARY.to_owned(),
            created_at: now,
            checked_at: None,
            seen_at: None,
            proven_at: None,
        };
        tx.create_sso_domain(&domain).await.unwrap();
        tx.create_invitation(&Invitation {
            id: InvitationId::new(now, unlike_bytes()),
            email: format!("{CANARY}-asked@people.example"),
            role: Role::Viewer,
            invited_by: "a test".to_owned(),
            created_at: now,
            expires_at: now + TimeDelta::days(7),
            accepted_at: None,
            revoked_at: None,
            mail: UserMail { state: UserMailState::Queued, doubts: 0 },
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Somebody whom Clerk keeps is a member, and messages come that it is one no longer: one of them twice.
    pub(crate) async fn kept_member_that_leaves(&self, office: &Office) {
        let parts = &office.parts;
        let now = parts.clock.now();
        let user = UserId::new(now, unlike_bytes());
        let wrapped = parts.keyring.new_data_key(TenantId::from(user.uuid()), 1, &*parts.entropy);
        let mut tx = parts.store.system().await.unwrap().begin().await.unwrap();
        let new = NewUser {
            id: user,
            name: "Kept".to_owned(),
            email: format!("{user}@people.example"),
            password_hash: None,
            wrapped_key: wrapped.0,
            created_at: now,
        };
        let (person, organization) = (user.to_string(), format!("org_{}", self.tenant));
        let membership = |version, role| OuterFact::Membership {
            id: format!("orgmem_{user}"),
            version,
            organization: organization.clone(),
            person: person.clone(),
            role,
        };
        let system = tx.system().unwrap();
        system.create_user(&new).await.unwrap();
        system.link_identity(user, ISSUER, &person, now).await.unwrap();
        system.bind_outer(self.tenant, ISSUER, &organization, now).await.unwrap();
        let joined = system.learn(ISSUER, &membership(1, Some(Role::Member)), now).await.unwrap();
        assert_eq!(joined.changes.len(), 1);
        for message in ["msg_1", "msg_1", "msg_2"] {
            let event = InboxEvent {
                source: HeedClerk::SOURCE.to_owned(),
                message_id: format!("{message}_{user}"),
                kind: "organizationMembership.deleted".to_owned(),
                payload: serde_json::to_value(membership(2, None)).unwrap(),
                is_heeded: true,
                received_at: now,
            };
            keep(&mut tx, &event, ISSUER).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}
