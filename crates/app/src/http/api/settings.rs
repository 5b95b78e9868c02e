//! What a team sets about its replies.

use crate::accounts::team_settings::{self, Changes, SettingsError, TeamSettings, clock_text};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, TeamMember, Viewer};
use crate::http::body::JsonBody;
use crate::http::etag::{IfMatch, etag};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsAnswer {
    pub team_id: Uuid,
    /// Days and quiet hours are counted in it.
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    /// Replies a day; null: as the server is set.
    #[schema(example = 100)]
    pub daily_cap: Option<i32>,
    /// Least time between two replies of one account; null: as the server is set.
    #[schema(example = 30)]
    pub gap_secs: Option<i32>,
    /// From this time of day on nothing goes out.
    #[schema(example = "22:00")]
    pub quiet_from: Option<String>,
    /// Until this one; before `quiet_from` it means the next day.
    #[schema(example = "07:00")]
    pub quiet_to: Option<String>,
    /// Hosts that a reply may link to without a person having looked.
    #[schema(example = json!(["example.com"]))]
    pub link_domains: Vec<String>,
    /// By these words, beside those of the server, somebody asks not to be answered any more.
    #[schema(example = json!(["no more coffee tips"]))]
    pub opt_out_words: Vec<String>,
    /// What platforms that charge for their API may charge in a month of UTC, in cents of a US dollar. Before it is passed, reading
    /// stops until the next month; replies still go out. Null: no limit.
    #[schema(example = 2000)]
    pub platform_budget_cents: Option<i32>,
    /// Since when nothing of the team goes out; null: it is not paused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paused_at: Option<OffsetDateTime>,
    pub pause_reason: Option<String>,
    /// Null while paused: the operator of the server did it.
    pub paused_by: Option<Uuid>,
    pub paused_by_name: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// What may be set. A field that is left out stays as it is; null gives it back to the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    /// A name of the time zone database; null: UTC.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Option<String>>,
    #[serde(default, alias = "dailyCap", deserialize_with = "given")]
    #[schema(value_type = Option<i64>, example = 100, minimum = 0, maximum = 1_000_000)]
    daily_cap: Option<Option<i64>>,
    #[serde(default, alias = "gapSecs", deserialize_with = "given")]
    #[schema(value_type = Option<i64>, example = 30, minimum = 0, maximum = 86_400)]
    gap_secs: Option<Option<i64>>,
    /// Together with `quiet_to`; null: none.
    #[serde(default, alias = "quietFrom", deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "22:00")]
    quiet_from: Option<Option<String>>,
    #[serde(default, alias = "quietTo", deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "07:00")]
    quiet_to: Option<Option<String>>,
    /// At most 100 hosts, without https:// and path.
    #[serde(default, alias = "linkDomains", deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["example.com"]))]
    link_domains: Option<Option<Vec<String>>>,
    /// At most 50 phrases of 60 characters.
    #[serde(default, alias = "optOutWords", deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["no more coffee tips"]))]
    opt_out_words: Option<Option<Vec<String>>>,
    /// Null: no limit.
    #[serde(default, alias = "platformBudgetCents", deserialize_with = "given")]
    #[schema(value_type = Option<i64>, example = 2000, minimum = 0, maximum = 100_000_000)]
    platform_budget_cents: Option<Option<i64>>,
}

/// Null is something else than nothing.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(value).map(Some)
}

impl SettingsBody {
    fn changes(self) -> Changes {
        Changes {
            timezone: self.timezone.map(|name| name.unwrap_or_else(|| "UTC".to_owned())),
            daily_cap: self.daily_cap,
            gap_secs: self.gap_secs,
            quiet_from: self.quiet_from,
            quiet_to: self.quiet_to,
            link_domains: self.link_domains.map(Option::unwrap_or_default),
            opt_out_words: self.opt_out_words.map(Option::unwrap_or_default),
            platform_budget_cents: self.platform_budget_cents,
        }
    }
}

impl From<TeamSettings> for SettingsAnswer {
    fn from(row: TeamSettings) -> Self {
        Self {
            team_id: row.team_id,
            timezone: row.timezone,
            daily_cap: row.daily_cap,
            gap_secs: row.gap_secs,
            quiet_from: row.quiet_from.map(clock_text),
            quiet_to: row.quiet_to.map(clock_text),
            link_domains: row.link_domains,
            opt_out_words: row.opt_out_words,
            platform_budget_cents: row.platform_budget_cents,
            paused_at: row.paused_at,
            pause_reason: row.pause_reason,
            paused_by: row.paused_by,
            paused_by_name: row.paused_by_name,
            updated_at: row.updated_at,
        }
    }
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Field { field, message } => Self::field(field, message),
            SettingsError::Database(error) => error.into(),
        }
    }
}

/// The settings of a team
#[utoipa::path(get, path = "/api/teams/{team_id}/settings",
    responses((status = 200, description = "As they stand, with their ETag.", body = SettingsAnswer)))]
pub async fn get_settings(State(app): State<App>, member: TeamMember<Viewer>) -> ApiResult<impl IntoResponse> {
    let settings = team_settings::load(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok((etag(settings.updated_at), Json(SettingsAnswer::from(settings))))
}

/// Change settings of a team
///
/// All of what is given or, where a field is wrong, nothing. Replies that wait already go on when they were told to. With the
/// `ETag` that you saw as `If-Match`, only while nobody else changed them.
#[utoipa::path(patch, path = "/api/teams/{team_id}/settings", request_body = SettingsBody,
    params(("If-Match" = Option<String>, Header, description = "The ETag of what you saw; a change since answers 412.")),
    responses((status = 200, description = "As they stand now.", body = SettingsAnswer)))]
pub async fn change_settings(
    State(app): State<App>,
    member: TeamMember<Admin>,
    if_match: IfMatch,
    JsonBody(body): JsonBody<SettingsBody>,
) -> ApiResult<impl IntoResponse> {
    let (moment, by) = (app.moment(), member.caller.user_id);
    let mut tx = app.db.begin().await?;
    let stands = team_settings::take(&mut tx, member.team_id).await?;
    if_match.check(stands.updated_at, || SettingsAnswer::from(stands))?;
    let settings = team_settings::change(&mut tx, &moment, member.team_id, by, body.changes()).await?;
    tx.commit().await?;
    Ok((etag(settings.updated_at), Json(SettingsAnswer::from(settings))))
}
