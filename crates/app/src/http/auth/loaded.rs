//! Things that are addressed by their own id, authorised before the handler sees them.

use super::page::PageTeam;
use super::{Caller, PathId, RequiredRole, path_id, require_role};
use crate::accounts::access::{self, Access};
use crate::app::App;
use crate::error::Problem;
use crate::model::Role;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sqlx::PgConnection;
use std::marker::PhantomData;
use uuid::Uuid;

/// A kind of thing that a team owns.
pub trait Owned: Send + Sync + 'static {
    /// As the caller knows it.
    const WHAT: &'static str;
    /// Names of the path parameter with the id, the more telling first.
    const PARAMS: [&'static str; 2];

    /// One query: None for what does not exist and for what the person's teams do not own.
    fn access(
        conn: &mut PgConnection,
        id: Uuid,
        user_id: Uuid,
    ) -> impl Future<Output = sqlx::Result<Option<Access>>> + Send;
}

macro_rules! owned {
    ($($name:ident, $what:literal, $param:literal, $lookup:path;)+) => {$(
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Owned for $name {
            const WHAT: &'static str = $what;
            const PARAMS: [&'static str; 2] = [$param, "id"];

            async fn access(conn: &mut PgConnection, id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Access>> {
                $lookup(conn, id, user_id).await
            }
        }
    )+};
}
owned! {
    SuggestionRef, "suggestion", "suggestion_id", access::to_suggestion;
    ItemRef, "item", "item_id", access::to_item;
    PostRef, "post", "post_id", access::to_post;
    IntegrationRef, "integration", "integration_id", access::to_integration;
    IntentRef, "intent", "intent_id", access::to_intent;
    VariationRef, "variation", "variation_id", access::to_variation;
    WebhookRef, "webhook", "webhook_id", access::to_webhook;
    DeliveryRef, "delivery", "delivery_id", access::to_delivery;
    NoticeRef, "notice", "notice_id", access::to_notice;
    OptOutRef, "opt-out", "opt_out_id", access::to_opt_out;
    RulePauseRef, "rule pause", "rule_pause_id", access::to_rule_pause;
    WatchRef, "watch", "watch_id", access::to_watch;
    ApiTokenRef, "token", "token_id", access::to_api_token;
}

/// The id of a thing that the caller may act on with at least the role `R`.
#[derive(Debug, Clone)]
pub struct Loaded<T, R> {
    pub caller: Caller,
    pub team_id: Uuid,
    pub role: Role,
    pub id: Uuid,
    kind: PhantomData<(T, R)>,
}

impl<T: Owned, R: RequiredRole> FromRequestParts<App> for Loaded<T, R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let PathId::Id(id) = path_id(parts, &T::PARAMS).await else { return Err(Problem::not_found(T::WHAT)) };
        let access = T::access(&mut *app.db.acquire().await?, id, caller.user_id).await?;
        let Access { team_id, role } = access.ok_or_else(|| Problem::not_found(T::WHAT))?;
        let role = caller.effective(team_id, role).ok_or_else(|| Problem::not_found(T::WHAT))?;
        require_role(role, R::ROLE)?;
        // A form about a thing is about the thing's team, whichever the page shows by now.
        parts.extensions.insert(PageTeam(team_id));
        Ok(Self { caller, team_id, role, id, kind: PhantomData })
    }
}
