//! The activity log: append-only, one row per change, written in the transaction of the change. A change that is rolled back leaves
//! no row; a row never stands without its change. Payloads hold ids, hashes and our own words, never a stranger's text or a secret.
//! Since every change passes here, this is also where the webhooks of a team hear of it, in the same transaction.

use crate::clock::Moment;
use crate::coord::events;
use crate::request_id;
use crate::webhooks;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What happened. The names are stable: scripts and audits search for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    TeamCreated,
    PersonImpersonated,
    PersonDeleted,
    TeamRenamed,
    TeamOwnerChanged,
    TeamSettingsChanged,
    TeamPaused,
    TeamResumed,
    /// A person's own door: password, second factor, sessions.
    AccountPasswordChanged,
    AccountPasswordReset,
    AccountResetLinkMade,
    AccountTotpOn,
    AccountTotpOff,
    AccountRecoveryCodeUsed,
    AccountSessionsEnded,
    MemberMadeAdmin,
    MemberJoined,
    MemberRoleChanged,
    MemberRemoved,
    MemberLeft,
    InvitationCreated,
    InvitationRenewed,
    InvitationWithdrawn,
    IntegrationConnected,
    IntegrationReconnectNeeded,
    IntegrationPaused,
    IntegrationResumed,
    IntegrationDisconnected,
    /// What was read through an account was deleted, as its owner asked.
    IntegrationErased,
    PlatformAppSet,
    PlatformAppRemoved,
    TokenRefreshed,
    /// A webhook told something that nobody understands.
    EventUnreadable,
    ApiTokenCreated,
    ApiTokenRevoked,
    WebhookCreated,
    WebhookChanged,
    WebhookSecretRotated,
    WebhookDisabled,
    WebhookDeleted,
    IntentCreated,
    IntentChanged,
    IntentDeleted,
    VariationCreated,
    VariationChanged,
    VariationDeleted,
    ItemStateChanged,
    SuggestionRequested,
    SuggestionDrafted,
    SuggestionDraftFailed,
    SuggestionEdited,
    SuggestionApproved,
    SuggestionHeld,
    SuggestionQueued,
    SuggestionClaimed,
    SuggestionUndone,
    SuggestionRejected,
    SuggestionRegenerated,
    SuggestionRetried,
    SuggestionParked,
    SuggestionResumed,
    SuggestionReturned,
    ReplyArmed,
    ReplyPosted,
    ReplyRefused,
    ReplyNotSent,
    ReplyUncertain,
    ReplyExchange,
    ReplyReadBack,
    /// A person wants a reply changed that stands on the platform, and what came of it.
    ReplyUnpublishAsked,
    ReplyReviseAsked,
    ReplyChangeArmed,
    ReplyChangePutOff,
    ReplyChangeUncertain,
    ReplyChangeFailed,
    ReplyUnpublished,
    ReplyRevised,
    /// How a posted reply was found when it was looked at again.
    ReplyRemoved,
    ReplyVanished,
    ReplyBack,
    RulesPaused,
    RulesResumed,
    PolicyConfirmed,
    OptOutNoted,
    OptOutLifted,
    WatchCreated,
    WatchChanged,
    WatchDeleted,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TeamCreated => "team.created",
            Self::PersonImpersonated => "person.impersonated",
            Self::PersonDeleted => "person.deleted",
            Self::TeamRenamed => "team.renamed",
            Self::TeamOwnerChanged => "team.owner_changed",
            Self::TeamSettingsChanged => "team.settings_changed",
            Self::TeamPaused => "team.paused",
            Self::TeamResumed => "team.resumed",
            Self::AccountPasswordChanged => "account.password_changed",
            Self::AccountPasswordReset => "account.password_reset",
            Self::AccountResetLinkMade => "account.reset_link_made",
            Self::AccountTotpOn => "account.totp_on",
            Self::AccountTotpOff => "account.totp_off",
            Self::AccountRecoveryCodeUsed => "account.recovery_code_used",
            Self::AccountSessionsEnded => "account.sessions_ended",
            Self::MemberMadeAdmin => "member.made_admin",
            Self::MemberJoined => "member.joined",
            Self::MemberRoleChanged => "member.role_changed",
            Self::MemberRemoved => "member.removed",
            Self::MemberLeft => "member.left",
            Self::InvitationCreated => "invitation.created",
            Self::InvitationRenewed => "invitation.renewed",
            Self::InvitationWithdrawn => "invitation.withdrawn",
            Self::IntegrationConnected => "integration.connected",
            Self::IntegrationReconnectNeeded => "integration.reconnect_needed",
            Self::IntegrationPaused => "integration.paused",
            Self::IntegrationResumed => "integration.resumed",
            Self::IntegrationDisconnected => "integration.disconnected",
            Self::IntegrationErased => "integration.erased",
            Self::PlatformAppSet => "platform_app.set",
            Self::PlatformAppRemoved => "platform_app.removed",
            Self::TokenRefreshed => "integration.token_refreshed",
            Self::EventUnreadable => "integration.event_unreadable",
            Self::ApiTokenCreated => "api_token.created",
            Self::ApiTokenRevoked => "api_token.revoked",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookChanged => "webhook.changed",
            Self::WebhookSecretRotated => "webhook.secret_rotated",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookDeleted => "webhook.deleted",
            Self::IntentCreated => "intent.created",
            Self::IntentChanged => "intent.changed",
            Self::IntentDeleted => "intent.deleted",
            Self::VariationCreated => "variation.created",
            Self::VariationChanged => "variation.changed",
            Self::VariationDeleted => "variation.deleted",
            Self::ItemStateChanged => "item.state_changed",
            Self::SuggestionRequested => "suggestion.requested",
            Self::SuggestionDrafted => "suggestion.drafted",
            Self::SuggestionDraftFailed => "suggestion.draft_failed",
            Self::SuggestionEdited => "suggestion.edited",
            Self::SuggestionApproved => "suggestion.approved",
            Self::SuggestionHeld => "suggestion.held",
            Self::SuggestionQueued => "suggestion.queued",
            Self::SuggestionClaimed => "suggestion.claimed",
            Self::SuggestionUndone => "suggestion.undone",
            Self::SuggestionRejected => "suggestion.rejected",
            Self::SuggestionRegenerated => "suggestion.regenerated",
            Self::SuggestionRetried => "suggestion.retried",
            Self::SuggestionParked => "suggestion.parked",
            Self::SuggestionResumed => "suggestion.resumed",
            Self::SuggestionReturned => "suggestion.returned",
            Self::ReplyArmed => "reply.armed",
            Self::ReplyPosted => "reply.posted",
            Self::ReplyRefused => "reply.refused",
            Self::ReplyNotSent => "reply.not_sent",
            Self::ReplyUncertain => "reply.uncertain",
            Self::ReplyExchange => "reply.exchange",
            Self::ReplyReadBack => "reply.read_back",
            Self::ReplyUnpublishAsked => "reply.unpublish_requested",
            Self::ReplyReviseAsked => "reply.revise_requested",
            Self::ReplyChangeArmed => "reply.change_armed",
            Self::ReplyChangePutOff => "reply.change_put_off",
            Self::ReplyChangeUncertain => "reply.change_uncertain",
            Self::ReplyChangeFailed => "reply.change_failed",
            Self::ReplyUnpublished => "reply.unpublished",
            Self::ReplyRevised => "reply.revised",
            Self::ReplyRemoved => "reply.removed",
            Self::ReplyVanished => "reply.vanished",
            Self::ReplyBack => "reply.back",
            Self::RulesPaused => "rules.paused",
            Self::RulesResumed => "rules.resumed",
            Self::PolicyConfirmed => "integration.policy_confirmed",
            Self::OptOutNoted => "opt_out.noted",
            Self::OptOutLifted => "opt_out.lifted",
            Self::WatchCreated => "watch.created",
            Self::WatchChanged => "watch.changed",
            Self::WatchDeleted => "watch.deleted",
        }
    }
}

/// The object that it happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Team(Uuid),
    /// A person of the team, by the id of the account.
    Member(Uuid),
    Invitation(Uuid),
    Integration(Uuid),
    Intent(Uuid),
    Item(Uuid),
    Suggestion(Uuid),
    ApiToken(Uuid),
    RulePause(Uuid),
    Watch(Uuid),
    Webhook(Uuid),
}

impl Subject {
    /// Kind and id, as rows name it.
    pub fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::Team(id) => ("team", id),
            Self::Member(id) => ("member", id),
            Self::Invitation(id) => ("invitation", id),
            Self::Integration(id) => ("integration", id),
            Self::Intent(id) => ("intent", id),
            Self::Item(id) => ("item", id),
            Self::Suggestion(id) => ("suggestion", id),
            Self::ApiToken(id) => ("api_token", id),
            Self::RulePause(id) => ("rule_pause", id),
            Self::Watch(id) => ("watch", id),
            Self::Webhook(id) => ("webhook", id),
        }
    }
}

/// Who did it: a person, or the machine.
pub type Actor = Option<Uuid>;

/// A row to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub team_id: Uuid,
    pub actor: Actor,
    pub kind: Kind,
    pub subject: Subject,
    pub payload: Value,
    /// The request that led to it.
    pub request_id: Option<String>,
}

/// Writes one row on the caller's transaction and announces it to open pages.
pub async fn record(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    actor: Actor,
    kind: Kind,
    subject: Subject,
    payload: Value,
) -> Result<(), sqlx::Error> {
    let request_id = request_id::current();
    record_all(conn, moment, vec![Entry { team_id, actor, kind, subject, payload, request_id }]).await
}

/// Writes many rows, in their order, in one statement.
pub async fn record_all(conn: &mut PgConnection, moment: &Moment, entries: Vec<Entry>) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = entries.iter().map(|_| moment.id()).collect();
    let subjects: Vec<(&str, Uuid)> = entries.iter().map(|entry| entry.subject.parts()).collect();
    let mut hints = Vec::new();
    for (entry, id) in entries.iter().zip(&ids) {
        hints.push((entry.team_id, events::Kind::Activity, *id));
        hints.extend(announced(entry.subject).map(|(kind, id)| (entry.team_id, kind, id)));
    }
    let hints = events::packets(hints.into_iter());
    let done = sqlx::query!(
        r#"with written as (
               insert into activity_logs (id, team_id, actor_user_id, type, subject_kind, subject_id, payload, request_id, created_at)
               select id, team_id, actor, kind, subject_kind, subject_id, payload, request_id, $1
               from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::jsonb[], $9::text[])
                   as entry (id, team_id, actor, kind, subject_kind, subject_id, payload, request_id)
           )
           select count(pg_notify($10, hint)) as "told!",
                  exists (select from webhook_endpoints w where w.team_id = any($3) and w.state = 'enabled') as "subscribed!"
           from unnest($11::text[]) hint"#,
        moment.now,
        &ids,
        &entries.iter().map(|entry| entry.team_id).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.actor).collect::<Vec<_>>() as &[Option<Uuid>],
        &entries.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>() as &[&str],
        &subjects.iter().map(|(kind, _)| *kind).collect::<Vec<_>>() as &[&str],
        &subjects.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.payload.clone()).collect::<Vec<_>>(),
        &entries.iter().map(|entry| entry.request_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        events::CHANNEL,
        &hints,
    )
    .fetch_one(&mut *conn)
    .await?;
    if !done.subscribed {
        return Ok(());
    }
    let events = entries.iter().zip(&ids).filter_map(|(entry, id)| webhooks::Event::of_activity(entry, *id));
    webhooks::announce(conn, moment, &events.collect::<Vec<_>>()).await
}

fn announced(subject: Subject) -> Option<(events::Kind, Uuid)> {
    match subject {
        Subject::Integration(id) => Some((events::Kind::Integration, id)),
        Subject::Item(id) => Some((events::Kind::Item, id)),
        Subject::Suggestion(id) => Some((events::Kind::Suggestion, id)),
        Subject::Member(id) | Subject::Invitation(id) => Some((events::Kind::Member, id)),
        Subject::Team(_) | Subject::Intent(_) | Subject::ApiToken(_) | Subject::Webhook(_) => None,
        Subject::RulePause(_) | Subject::Watch(_) => None,
    }
}

/// One row as the log page and the API show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActivityRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub actor_user_id: Option<Uuid>,
    /// Name of the person; null where the machine acted.
    pub actor_name: Option<String>,
    #[serde(rename = "type")]
    #[schema(example = "reply.posted")]
    pub kind: String,
    #[schema(example = "suggestion")]
    pub subject_kind: String,
    pub subject_id: Uuid,
    /// Name of the person that it happened to, where it happened to one.
    pub subject_name: Option<String>,
    pub payload: Value,
    pub request_id: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Newest first, from before `(created_at, id)`; at most `limit` rows. `subject` narrows to one object's story.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    subject: Option<Uuid>,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<ActivityRow>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    sqlx::query_as!(
        ActivityRow,
        r#"select a.id, a.team_id, a.actor_user_id, u.name as "actor_name?", a.type as kind, a.subject_kind, a.subject_id,
                  s.name as "subject_name?", a.payload, a.request_id, a.created_at
           from activity_logs a
           left join users u on u.id = a.actor_user_id
           left join users s on a.subject_kind = 'member' and s.id = a.subject_id
           where a.team_id = $1
             and ($2::uuid is null or a.subject_id = $2)
             and ($3::timestamptz is null or (a.created_at, a.id) < ($3, $4))
           order by a.created_at desc, a.id desc
           limit $5"#,
        team_id,
        subject,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Makes the partitions of this month and the next three.
pub async fn prepare_months(conn: &mut PgConnection, moment: &Moment) -> Result<(), sqlx::Error> {
    sqlx::query!("select activity_logs_prepare_months($1, 3)", moment.now.date()).fetch_one(conn).await?;
    Ok(())
}
