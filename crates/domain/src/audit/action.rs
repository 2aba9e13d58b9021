//! Every kind of act that the audit knows. A name is stable: it stands in what was written years ago.

use std::fmt;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kind of act, `<thing>.<done>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// A customer's account was made.
    TenantCreated = "tenant.created",
    /// A link that signs somebody in was made at the command line.
    SignInLinkCreated = "sign_in_link.created",
    /// Somebody signed in.
    SessionOpened = "session.opened",
    /// Somebody signed out.
    SessionEnded = "session.ended",
    /// Somebody tried to sign in and was not let in.
    SessionRefused = "session.refused",
    /// A sign-in was continued by a token that was used before, and ended for everybody.
    SessionRefreshReused = "session.refresh_reused",
    /// Somebody went on in another of its organisations.
    SessionSwitched = "session.switched",
    /// Somebody ended another of its sign-ins.
    SessionRevoked = "session.revoked",
    /// Somebody registered the organisation.
    TenantRegistered = "tenant.registered",
    /// The organisation's name, or how long its people stay signed in, changed.
    TenantChanged = "tenant.changed",
    /// Somebody belongs to the organisation, because whoever keeps its people says so.
    MemberJoined = "member.joined",
    /// A member may not sign in for now, because whoever keeps it says so.
    MemberBarred = "member.barred",
    /// A member may sign in again.
    MemberAdmitted = "member.admitted",
    /// Somebody belongs to the organisation no longer.
    MemberRemoved = "member.removed",
    /// Somebody was asked to become a member.
    InvitationCreated = "invitation.created",
    /// An invitation was taken back.
    InvitationRevoked = "invitation.revoked",
    /// Somebody became a member.
    InvitationAccepted = "invitation.accepted",
    /// A member changed its password.
    PasswordChanged = "user.password_changed",
    /// A member set a new password by a mail's link.
    PasswordReset = "user.password_reset",
    /// A member set a second factor up.
    SecondFactorAdded = "user.second_factor_added",
    /// A member switched its second factor off.
    SecondFactorRemoved = "user.second_factor_removed",
    /// A member made new recovery codes.
    RecoveryCodesReplaced = "user.recovery_codes_replaced",
    /// Somebody else vouches for a member from now on.
    IdentityLinked = "user.identity_linked",
    /// Somebody else vouches for a member no longer.
    IdentityUnlinked = "user.identity_unlinked",
    /// The organisation's people may sign in by its own identity provider.
    SingleSignOnConfigured = "single_sign_on.configured",
    /// The provider's secret, what newcomers become, or whether everybody must come by it changed.
    SingleSignOnChanged = "single_sign_on.changed",
    /// Nobody signs in by the organisation's own identity provider any more.
    SingleSignOnRemoved = "single_sign_on.removed",
    /// The organisation says that a domain is its own; it proves nothing yet.
    SingleSignOnDomainAdded = "single_sign_on_domain.added",
    /// A record in the DNS proved that a domain is the organisation's.
    SingleSignOnDomainProven = "single_sign_on_domain.proven",
    /// The record is gone, and the domain counts no longer.
    SingleSignOnDomainLost = "single_sign_on_domain.lost",
    /// The organisation says no longer that a domain is its own.
    SingleSignOnDomainRemoved = "single_sign_on_domain.removed",
    /// A member changed its name.
    UserRenamed = "user.renamed",
    /// Who runs the service looked into an account that is not theirs.
    SupportAccessBegan = "support_access.began",
    /// A person's part in the account changed.
    RoleChanged = "member.role_changed",
    /// What is kept of calls, or who may see it, changed.
    PrivacyChanged = "privacy.changed",
    /// Somebody read a prompt and its answer.
    BodiesViewed = "bodies.viewed",
    /// Who runs the service wanted to read one, and had no leave.
    BodiesRefused = "bodies.refused",
    /// What was kept of a key's prompts and answers was made unreadable.
    BodiesDestroyed = "bodies.destroyed",
    /// Prompts and answers past their time were removed.
    BodiesPurged = "bodies.purged",
    /// The account let whoever runs the service read prompts and answers.
    SupportGrantCreated = "support_grant.created",
    /// It took that back.
    SupportGrantRevoked = "support_grant.revoked",
    /// What the account pays for changed.
    BillingTierChanged = "billing_tier.changed",
    /// An API key was made.
    KeyCreated = "key.created",
    /// An API key was revoked.
    KeyRevoked = "key.revoked",
    /// An API key's name, scopes or end changed, or whether anything of its prompts is kept.
    KeyUpdated = "key.updated",
    /// Whose an API key is, by its labels, changed.
    KeyLabelled = "key.labelled",
    /// An API key got a new secret.
    KeyRolled = "key.rolled",
    /// A connection was made.
    ConnectionCreated = "connection.created",
    /// A connection was disabled.
    ConnectionDisabled = "connection.disabled",
    /// An AWS account is to be connected.
    AwsConnectionCreated = "aws_connection.created",
    /// A connected AWS account is looked at, because somebody asked.
    AwsConnectionTested = "aws_connection.tested",
    /// Nothing is read of a connected AWS account for now.
    AwsConnectionPaused = "aws_connection.paused",
    /// It is read again.
    AwsConnectionResumed = "aws_connection.resumed",
    /// A connected AWS account got a new ExternalId.
    AwsConnectionReconnected = "aws_connection.reconnected",
    /// Nothing is read of a connected AWS account any more.
    AwsConnectionRevoked = "aws_connection.revoked",
    /// A vendor's own cost reports are to be read.
    InvoiceSourceCreated = "invoice_source.created",
    /// A vendor is asked for its reports, because somebody asked.
    InvoiceSourceTested = "invoice_source.tested",
    /// The key to a vendor's reports is another one.
    InvoiceSourceKeyReplaced = "invoice_source.key_replaced",
    /// Nothing is read of a vendor's reports for now.
    InvoiceSourcePaused = "invoice_source.paused",
    /// It is again.
    InvoiceSourceResumed = "invoice_source.resumed",
    /// Nothing is read of a vendor's reports any more.
    InvoiceSourceRevoked = "invoice_source.revoked",
    /// A bill was handed in.
    BillUploaded = "bill.uploaded",
    /// A bill was read in at the command line.
    BillImported = "bill.imported",
    /// A bill that was handed in was taken back.
    BillWithdrawn = "bill.withdrawn",
    /// A log of calls that never passed the proxy was handed in.
    CallsImported = "calls.imported",
    /// The account's calendar changed.
    SettingsUpdated = "settings.updated",
    /// Somebody is to be told.
    RecipientCreated = "recipient.created",
    /// What somebody is told of changed.
    RecipientUpdated = "recipient.updated",
    /// Somebody is told no more.
    RecipientDeleted = "recipient.deleted",
    /// Somebody was asked once more whether to be told.
    RecipientAsked = "recipient.asked",
    /// Somebody agreed to be told.
    RecipientConfirmed = "recipient.confirmed",
    /// Somebody said that nothing more is to come.
    RecipientUnsubscribed = "recipient.unsubscribed",
    /// A Slack channel is to be told.
    SlackChannelCreated = "slack_channel.created",
    /// What a Slack channel is told of changed.
    SlackChannelUpdated = "slack_channel.updated",
    /// A Slack channel is told no more.
    SlackChannelDeleted = "slack_channel.deleted",
    /// A Slack channel was tried.
    SlackChannelTested = "slack_channel.tested",
    /// A program is to be told.
    WebhookEndpointCreated = "webhook_endpoint.created",
    /// What a program is told of, or where, changed.
    WebhookEndpointUpdated = "webhook_endpoint.updated",
    /// A program is told no more.
    WebhookEndpointDeleted = "webhook_endpoint.deleted",
    /// A program was tried.
    WebhookEndpointTested = "webhook_endpoint.tested",
    /// A program's webhooks are signed with a new secret.
    WebhookSecretRolled = "webhook_secret.rolled",
    /// A program is told of one event again.
    WebhookDeliveryRetried = "webhook_delivery.retried",
    /// Somebody said what to make of a surprise.
    AnomalyDecided = "anomaly.decided",
    /// Somebody will not follow a recommendation.
    RecommendationDismissed = "recommendation.dismissed",
    /// Lines that may be AI count as such from now on.
    CandidateRuleCreated = "candidate_rule.created",
    /// They count as candidates again.
    CandidateRuleEnded = "candidate_rule.ended",
    /// A budget was made.
    BudgetCreated = "budget.created",
    /// A budget was ended.
    BudgetEnded = "budget.ended",
    /// An export was asked for.
    ExportCreated = "export.created",
    /// An export was called off before it was there.
    ExportCancelled = "export.cancelled",
    /// An export's file was taken away.
    ExportRemoved = "export.removed",
    /// An export's file was downloaded.
    ExportDownloaded = "export.downloaded",
    /// The account's end was asked for.
    ClosureRequested = "closure.requested",
    /// The account is kept after all.
    ClosureCancelled = "closure.cancelled",
    /// An erasure is not done by a day of its calendar.
    ErasureLate = "erasure.late",
    /// A job was run at once.
    WorkflowRetried = "workflow.retried",
    /// A job was cancelled, or asked to stop.
    WorkflowCancelled = "workflow.cancelled",
    /// A dead letter was put away.
    WorkflowDiscarded = "workflow.discarded",
    /// Dead letters were brought back.
    WorkflowsRedriven = "workflows.redriven",
    /// Dead letters were put away.
    WorkflowsDiscarded = "workflows.discarded",
    /// Jobs are dead letters that nobody but the operator will look after.
    WorkflowsDied = "workflows.died",
    /// A schedule rests.
    SchedulePaused = "schedule.paused",
    /// A schedule goes on.
    ScheduleResumed = "schedule.resumed",
    /// What was written down before failed.
    ActFailed = "act.failed",
    /// Calls without a price got one, or calls got a corrected one.
    RequestsRepriced = "requests.repriced",
    /// Somebody must look at a price document before it is published.
    PricesNeedReview = "prices.need_review",
    /// No price document could be read for two days.
    PricesStale = "prices.stale",
    /// A price document that was looked at was published.
    PricesApproved = "prices.approved",
    /// A price document that was looked at never will be.
    PricesRefused = "prices.refused",
    /// What a correction of a price would do is counted.
    PriceCorrectionPreviewed = "price_correction.previewed",
    /// A counted correction of a price is done.
    PriceCorrectionRun = "price_correction.run",
    /// A correction of a price is not wanted any more.
    PriceCorrectionCancelled = "price_correction.cancelled",
    /// A chain, or an anchor of it, is not as it was.
    AuditBroken = "audit.broken",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
