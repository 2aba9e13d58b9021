//! Identity that somebody else keeps: what was last heard of its objects, and what follows from that for people and
//! members here.
//!
//! Everything that is heard goes through [`SystemConn::learn`], whether a message brought it, a sweep, or a question at
//! sign-in. It takes effect only if nothing newer was heard of the same object, and what is gone stays gone, so that
//! messages that come twice, late or in another order end where the last of them would. Writers are one after the
//! other ([`SystemConn::lock_outer`]): their transactions are short and hold no call to anybody.

use chrono::{DateTime, Utc};
use costlens_domain::audit::Action;
use costlens_domain::outer::{OuterFact, Standing};
use costlens_domain::{Role, TenantId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::named;
use crate::schema::{member, outer_object, outer_organization, session, tenant, user_account, user_identity};
use crate::{StoreError, SystemConn, TenantConn};

/// An organisation over there that is a tenant here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterOrganization {
    /// Who keeps it.
    pub issuer: String,
    /// Its id over there; a person's own where it is alone.
    pub id: String,
}

/// Something that changed here, to be written down in the audit of its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OuterChange {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The kind of act.
    pub action: Action,
    /// Whom or what it changed.
    pub target: Option<String>,
    /// How.
    pub change: Value,
}

/// What became of something that was heard.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Learned {
    /// Whether it was news: nothing newer was known, and the object is not gone.
    pub is_news: bool,
    /// What changed here.
    pub changes: Vec<OuterChange>,
}

/// One version of an object.
struct Seen<'a> {
    kind: &'static str,
    id: &'a str,
    version: i64,
    gone: bool,
    membership: Option<(&'a str, &'a str)>,
    role: Option<Role>,
}

#[derive(QueryableByName)]
struct SaidRow {
    #[diesel(sql_type = Bool)]
    is_so: bool,
}

#[derive(QueryableByName)]
struct PersonRow {
    #[diesel(sql_type = Text)]
    person: String,
}

impl TenantConn {
    /// The organisation over there that this tenant is, if it is one.
    pub async fn outer_organization(&mut self) -> Result<Option<OuterOrganization>, StoreError> {
        let row: Option<(String, String)> = outer_organization::table
            .find(self.tenant_id().uuid())
            .select((outer_organization::issuer, outer_organization::organization))
            .first(self.conn()?)
            .await
            .optional()?;
        Ok(row.map(|(issuer, id)| OuterOrganization { issuer, id }))
    }
}

impl SystemConn {
    /// Nobody else learns anything from outside until this transaction is over.
    pub async fn lock_outer(&mut self) -> Result<(), StoreError> {
        // The number is this lock's own: "outer" in ASCII.
        diesel::sql_query("SELECT pg_advisory_xact_lock(478560413042)").execute(&mut self.conn).await?;
        Ok(())
    }

    /// Takes note of something that is so over there. Under [`Self::lock_outer`].
    pub async fn learn(
        &mut self,
        issuer: &str,
        fact: &OuterFact,
        at: DateTime<Utc>,
    ) -> Result<Learned, StoreError> {
        let (membership, role) = (None, None);
        let seen = match fact {
            OuterFact::Person { id, version, standing } => {
                let gone = *standing == Standing::Gone;
                Seen { kind: "user", id, version: *version, gone, membership, role }
            }
            OuterFact::Organization { id, version, gone, .. } => {
                Seen { kind: "organization", id, version: *version, gone: *gone, membership, role }
            }
            OuterFact::Membership { id, version, organization, person, role } => Seen {
                kind: "membership",
                id,
                version: *version,
                gone: role.is_none(),
                membership: Some((organization, person)),
                role: *role,
            },
            OuterFact::SessionOver { id, version } => {
                Seen { kind: "session", id, version: *version, gone: true, membership, role }
            }
        };
        if !self.see(issuer, &seen, at).await? {
            return Ok(Learned::default());
        }
        let changes = match fact {
            OuterFact::Person { id, standing, .. } => self.settle_person(issuer, id, *standing, at).await?,
            OuterFact::Organization { id, gone: true, .. } => self.settle_gone(issuer, id, at).await?,
            OuterFact::Organization { id, name, .. } => {
                if let (Some(name), Some(tenant)) = (name, self.outer_tenant(issuer, id).await?) {
                    let row = tenant::table.find(tenant.uuid()).filter(tenant::name.ne(name));
                    diesel::update(row).set(tenant::name.eq(name)).execute(&mut self.conn).await?;
                }
                Vec::new()
            }
            OuterFact::Membership { organization, person, .. } => {
                self.settle_member(issuer, organization, person, at).await?.into_iter().collect()
            }
            OuterFact::SessionOver { id, .. } => {
                self.end_outer_session(id, at).await?;
                Vec::new()
            }
        };
        Ok(Learned { is_news: true, changes })
    }

    /// Whether a session over there is known to be over.
    pub async fn is_outer_session_over(&mut self, issuer: &str, id: &str) -> Result<bool, StoreError> {
        let over = outer_object::table.find((issuer, "session", id)).filter(outer_object::gone.eq(true));
        Ok(diesel::select(diesel::dsl::exists(over)).get_result(&mut self.conn).await?)
    }

    /// The tenant of an organisation over there, or of a person who is alone.
    pub async fn outer_tenant(
        &mut self,
        issuer: &str,
        organization: &str,
    ) -> Result<Option<TenantId>, StoreError> {
        let of = outer_organization::table
            .filter(outer_organization::issuer.eq(issuer))
            .filter(outer_organization::organization.eq(organization));
        let found: Option<Uuid> =
            of.select(outer_organization::tenant_id).first(&mut self.conn).await.optional()?;
        Ok(found.map(TenantId::from))
    }

    /// The same, but for one that is being erased: its people go with it, and none may be left behind as nobody's because
    /// its organisation was deleted before them.
    async fn lasting_outer_tenant(
        &mut self,
        issuer: &str,
        organization: &str,
    ) -> Result<Option<TenantId>, StoreError> {
        let Some(tenant) = self.outer_tenant(issuer, organization).await? else { return Ok(None) };
        let erased: SaidRow = diesel::sql_query(
            "SELECT EXISTS (SELECT FROM closure c JOIN erasure e ON e.id = c.erasure_id \
             WHERE c.tenant_id = $1 AND e.state = 'erasing') AS is_so",
        )
        .bind::<SqlUuid, _>(tenant.uuid())
        .get_result(&mut self.conn)
        .await?;
        Ok((!erased.is_so).then_some(tenant))
    }

    /// From now on this organisation over there is this tenant.
    pub async fn bind_outer(
        &mut self,
        tenant: TenantId,
        issuer: &str,
        organization: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        diesel::insert_into(outer_organization::table)
            .values((
                outer_organization::tenant_id.eq(tenant.uuid()),
                outer_organization::issuer.eq(issuer),
                outer_organization::organization.eq(organization),
                outer_organization::created_at.eq(at),
            ))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// What a person is called and where its mail goes, as it is kept over there.
    pub async fn describe_user(&mut self, user: UserId, name: &str, email: &str) -> Result<(), StoreError> {
        diesel::update(user_account::table.find(user.uuid()))
            .set((user_account::name.eq(name), user_account::email.eq(email)))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Some people that are vouched for by them, behind one of their ids, in their ids' order.
    pub async fn outer_people(
        &mut self,
        issuer: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<String>, StoreError> {
        let of = user_identity::table
            .filter(user_identity::issuer.eq(issuer))
            .filter(user_identity::subject.gt(after))
            .order(user_identity::subject)
            .limit(most);
        Ok(of.select(user_identity::subject).load(&mut self.conn).await?)
    }

    /// Some of their organisations that are tenants here, behind one of their ids, in their ids' order.
    pub async fn outer_organizations(
        &mut self,
        issuer: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<String>, StoreError> {
        let of = outer_organization::table
            .filter(outer_organization::issuer.eq(issuer))
            .filter(outer_organization::organization.gt(after))
            .order(outer_organization::organization)
            .limit(most);
        Ok(of.select(outer_organization::organization).load(&mut self.conn).await?)
    }

    /// The memberships of an organisation, or of one person in it, were listed whole, and these are all: what was known
    /// before `asked_at` and is not among them is gone, and whoever is a member here by none of them is one no longer.
    pub async fn learn_only_memberships(
        &mut self,
        (issuer, organization): (&str, &str),
        person: Option<&str>,
        listed: &[String],
        (asked_at, at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<OuterChange>, StoreError> {
        let people: Vec<PersonRow> = diesel::sql_query(
            "WITH lost AS (
                UPDATE outer_object SET gone = true, seen_at = $6
                WHERE issuer = $1 AND kind = 'membership' AND organization = $2 AND ($3 IS NULL OR person = $3)
                  AND NOT gone AND seen_at < $5 AND id <> ALL ($4)
                RETURNING person
             )
             SELECT person FROM lost
             UNION
             SELECT i.subject FROM outer_organization o
             JOIN member m ON m.tenant_id = o.tenant_id
             JOIN user_identity i ON i.user_id = m.user_id AND i.issuer = o.issuer
             WHERE o.issuer = $1 AND o.organization = $2 AND ($3 IS NULL OR i.subject = $3)",
        )
        .bind::<Text, _>(issuer)
        .bind::<Text, _>(organization)
        .bind::<Nullable<Text>, _>(person)
        .bind::<Array<Text>, _>(listed)
        .bind::<Timestamptz, _>(asked_at)
        .bind::<Timestamptz, _>(at)
        .load(&mut self.conn)
        .await?;
        let mut changes = Vec::new();
        for PersonRow { person } in people {
            changes.extend(self.settle_member(issuer, organization, &person, at).await?);
        }
        Ok(changes)
    }

    /// Makes a person a member here, or none, as what is known of both over there has it.
    pub async fn settle_member(
        &mut self,
        issuer: &str,
        organization: &str,
        person: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<OuterChange>, StoreError> {
        let Some(tenant_id) = self.lasting_outer_tenant(issuer, organization).await? else { return Ok(None) };
        let Some(user) = self.user_by_identity(issuer, person).await? else { return Ok(None) };
        let after = self.outer_role(issuer, organization, person).await?;
        let row = member::table.find((tenant_id.uuid(), user.uuid()));
        let before: Option<String> = row.select(member::role).first(&mut self.conn).await.optional()?;
        let before =
            before.map(|role| named("member.role", &role, |name| name.parse::<Role>().ok())).transpose()?;
        let (action, change) = match (before, after) {
            (before, after) if before == after => return Ok(None),
            (None, Some(role)) => {
                self.join(tenant_id, user, role, at).await?;
                (Action::MemberJoined, json!({ "role": role.as_str() }))
            }
            (Some(before), Some(after)) => {
                diesel::update(row).set(member::role.eq(after.as_str())).execute(&mut self.conn).await?;
                let change = json!({ "role": { "before": before.as_str(), "after": after.as_str() } });
                (Action::RoleChanged, change)
            }
            (before, None) => {
                self.leave(tenant_id, user, at).await?;
                (Action::MemberRemoved, json!({ "role": before.map(Role::as_str), "itself": false }))
            }
        };
        Ok(Some(OuterChange { tenant_id, action, target: Some(user.to_string()), change }))
    }

    /// Whether this is news, and if so notes it.
    async fn see(&mut self, issuer: &str, seen: &Seen<'_>, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let noted = diesel::sql_query(
            "INSERT INTO outer_object (issuer, kind, id, version, gone, organization, person, role, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (issuer, kind, id) DO UPDATE
             SET version = greatest(excluded.version, outer_object.version), gone = excluded.gone,
                 organization = excluded.organization, person = excluded.person, role = excluded.role,
                 seen_at = excluded.seen_at
             WHERE NOT outer_object.gone AND (excluded.gone OR excluded.version >= outer_object.version)",
        )
        .bind::<Text, _>(issuer)
        .bind::<Text, _>(seen.kind)
        .bind::<Text, _>(seen.id)
        .bind::<BigInt, _>(seen.version)
        .bind::<Bool, _>(seen.gone)
        .bind::<Nullable<Text>, _>(seen.membership.map(|(organization, _)| organization))
        .bind::<Nullable<Text>, _>(seen.membership.map(|(_, person)| person))
        .bind::<Nullable<Text>, _>(seen.role.map(Role::as_str))
        .bind::<Timestamptz, _>(at)
        .execute(&mut self.conn)
        .await?;
        Ok(noted > 0)
    }

    /// As what a person belongs to an organisation over there, by what is known. Alone, it owns what is its own.
    async fn outer_role(
        &mut self,
        issuer: &str,
        organization: &str,
        person: &str,
    ) -> Result<Option<Role>, StoreError> {
        let ended = outer_object::table
            .filter(outer_object::issuer.eq(issuer))
            .filter(outer_object::kind.eq_any(["user", "organization"]))
            .filter(outer_object::id.eq_any([organization, person]))
            .filter(outer_object::gone.eq(true));
        if diesel::select(diesel::dsl::exists(ended)).get_result::<bool>(&mut self.conn).await? {
            return Ok(None);
        }
        if organization == person {
            return Ok(Some(Role::Owner));
        }
        let role: Option<Option<String>> = outer_object::table
            .filter(outer_object::issuer.eq(issuer))
            .filter(outer_object::kind.eq("membership"))
            .filter(outer_object::organization.eq(organization))
            .filter(outer_object::person.eq(person))
            .filter(outer_object::gone.eq(false))
            .order(outer_object::version.desc())
            .select(outer_object::role)
            .first(&mut self.conn)
            .await
            .optional()?;
        role.flatten().map(|role| named("outer_object.role", &role, |name| name.parse().ok())).transpose()
    }

    /// Somebody belongs to a tenant no longer; its sessions there are over.
    async fn leave(&mut self, tenant: TenantId, user: UserId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let row = member::table.find((tenant.uuid(), user.uuid()));
        diesel::delete(row).execute(&mut self.conn).await?;
        let open = session::table
            .filter(session::tenant_id.eq(tenant.uuid()))
            .filter(session::user_id.eq(user.uuid()))
            .filter(session::ended_at.is_null());
        diesel::update(open).set(session::ended_at.eq(at)).execute(&mut self.conn).await?;
        Ok(())
    }

    async fn settle_person(
        &mut self,
        issuer: &str,
        person: &str,
        standing: Standing,
        at: DateTime<Utc>,
    ) -> Result<Vec<OuterChange>, StoreError> {
        let Some(user) = self.user_by_identity(issuer, person).await? else { return Ok(Vec::new()) };
        let memberships = self.memberships(user).await?;
        let row = user_account::table.find(user.uuid());
        let action = match standing {
            Standing::Good => {
                let barred = row.filter(user_account::disabled_at.is_not_null());
                let none = None::<DateTime<Utc>>;
                let admitted = diesel::update(barred).set(user_account::disabled_at.eq(none));
                (admitted.execute(&mut self.conn).await? > 0).then_some(Action::MemberAdmitted)
            }
            Standing::Barred => {
                let good = row.filter(user_account::disabled_at.is_null());
                let barred = diesel::update(good).set(user_account::disabled_at.eq(at));
                let barred = barred.execute(&mut self.conn).await? > 0;
                self.end_sign_ins(user, None, at).await?;
                barred.then_some(Action::MemberBarred)
            }
            Standing::Gone => {
                self.end_sign_ins(user, None, at).await?;
                for membership in &memberships {
                    self.leave(membership.tenant.id, user, at).await?;
                }
                self.unlink_identity(user, issuer).await?;
                // Somebody who gets in by nothing else is nobody here any more.
                diesel::sql_query(
                    "DELETE FROM user_account u WHERE u.id = $1 AND u.password_hash IS NULL \
                     AND NOT EXISTS (SELECT FROM user_identity i WHERE i.user_id = u.id)",
                )
                .bind::<SqlUuid, _>(user.uuid())
                .execute(&mut self.conn)
                .await?;
                Some(Action::MemberRemoved)
            }
        };
        let Some(action) = action else { return Ok(Vec::new()) };
        let one = |of: crate::Membership| OuterChange {
            tenant_id: of.tenant.id,
            action,
            target: Some(user.to_string()),
            change: json!({ "role": of.role.as_str() }),
        };
        Ok(memberships.into_iter().map(one).collect())
    }

    /// An organisation is gone over there: nobody of it gets in any more. What is the tenant's stays until its end is
    /// asked for.
    async fn settle_gone(
        &mut self,
        issuer: &str,
        organization: &str,
        at: DateTime<Utc>,
    ) -> Result<Vec<OuterChange>, StoreError> {
        let Some(tenant) = self.lasting_outer_tenant(issuer, organization).await? else {
            return Ok(Vec::new());
        };
        let people: Vec<PersonRow> = diesel::sql_query(
            "SELECT i.subject AS person FROM member m JOIN user_identity i ON i.user_id = m.user_id \
             WHERE m.tenant_id = $1 AND i.issuer = $2",
        )
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Text, _>(issuer)
        .load(&mut self.conn)
        .await?;
        let mut changes = Vec::new();
        for PersonRow { person } in people {
            changes.extend(self.settle_member(issuer, organization, &person, at).await?);
        }
        Ok(changes)
    }
}
