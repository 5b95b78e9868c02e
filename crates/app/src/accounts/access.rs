//! Whose is this? One query per kind of thing that the API addresses by its own id: the thing, its team and the caller's role
//! there. What another team owns and what does not exist give the same nothing.

use crate::model::Role;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub team_id: Uuid,
    pub role: Role,
}

/// A query of its own per table, so that each is checked against the schema. What follows the table narrows further; `o` is the
/// thing, `m` the caller's membership, `$2` the caller.
macro_rules! access {
    ($($name:ident, $table:literal $(, $narrowed:literal)?;)+) => { $(
        pub async fn $name(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
            sqlx::query_as!(
                Access,
                "select m.team_id, m.role from " + $table + " o
                 join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
                 where o.id = $1" $(+ $narrowed)?,
                id,
                user_id
            )
            .fetch_optional(conn)
            .await
        }
    )+ };
}

access! {
    to_suggestion, "suggestions";
    to_item, "inbox_items";
    to_post, "posts";
    to_integration, "integrations";
    to_intent, "intents", " and o.deleted_at is null";
    to_notice, "notices";
    // Their makers, and admins.
    to_api_token, "api_tokens", " and o.revoked_at is null and (o.created_by = $2 or m.role = 'admin')";
    to_webhook, "webhook_endpoints";
    to_delivery, "webhook_deliveries";
    to_opt_out, "opt_outs";
    to_rule_pause, "rule_pauses";
    to_watch, "watches";
}

/// A variation belongs to the team of its intent.
pub async fn to_variation(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from intent_variations v
        join intents o on o.id = v.intent_id and o.deleted_at is null
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where v.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}
