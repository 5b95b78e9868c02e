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

pub async fn to_suggestion(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from suggestions o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_item(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from inbox_items o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_post(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from posts o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_integration(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from integrations o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

/// Deleted intents are gone for callers.
pub async fn to_intent(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from intents o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1 and o.deleted_at is null",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

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

pub async fn to_notice(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from notices o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

/// Live tokens: everybody's own, and for admins all of the team.
pub async fn to_api_token(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from api_tokens o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1 and o.revoked_at is null and (o.created_by = $2 or m.role = 'admin')",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_webhook(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from webhook_endpoints o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_delivery(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from webhook_deliveries o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_opt_out(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from opt_outs o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_rule_pause(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from rule_pauses o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

pub async fn to_watch(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
    sqlx::query_as!(
        Access,
        "select m.team_id, m.role
        from watches o
        join team_members m on m.team_id = o.team_id and m.user_id = $2 and m.accepted_at is not null
        where o.id = $1",
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}
