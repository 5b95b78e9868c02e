//! What platforms that charge for their API charged a team.

use crate::accounts::team_settings;
use crate::app::App;
use crate::coord::usage;
use crate::error::ApiResult;
use crate::http::auth::{TeamMember, Viewer};
use axum::Json;
use axum::extract::State;
use rejoinder_platforms::{PLATFORMS, tariff};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct UsageAnswer {
    pub team_id: Uuid,
    /// The month as `year-month`; months are those of UTC.
    #[schema(example = "2026-11")]
    pub month: String,
    /// When the next month begins.
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
    /// All platforms together, in millionths of a US dollar.
    #[schema(example = 810_000)]
    pub micro_usd: u64,
    /// The budget of the settings, in cents; reading stops before it is passed. Null: no limit.
    #[schema(example = 2000)]
    pub budget_cents: Option<i32>,
    /// Those that charge.
    pub platforms: Vec<PlatformUsage>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformUsage {
    #[schema(example = "x")]
    pub platform: String,
    /// The day that the prices are of.
    #[schema(example = "2026-04-20")]
    pub prices_as_of: String,
    pub micro_usd: u64,
    pub items: Vec<UsageItem>,
}

/// Units of one kind. The same post or user read again on the same day of UTC is charged once.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageItem {
    #[schema(example = "post_read")]
    pub kind: String,
    #[schema(example = "posts read")]
    pub name: String,
    #[schema(example = 162)]
    pub units: u64,
    /// Of one unit, in millionths of a US dollar.
    #[schema(example = 5000)]
    pub unit_micro_usd: u64,
    #[schema(example = 810_000)]
    pub micro_usd: u64,
}

/// What platforms charged this month
///
/// Counted here, by the prices that a platform publishes; its own bill decides.
#[utoipa::path(get, path = "/api/teams/{team_id}/usage",
    responses((status = 200, description = "Reads and posts of the running month.", body = UsageAnswer)))]
pub async fn get_usage(State(app): State<App>, member: TeamMember<Viewer>) -> ApiResult<Json<UsageAnswer>> {
    let now = app.clock.now();
    let month = usage::month_of(now);
    let mut conn = app.db.acquire().await?;
    let settings = team_settings::load(&mut conn, member.team_id).await?;
    let lines = usage::lines(&mut conn, member.team_id, month).await?;
    Ok(Json(UsageAnswer {
        team_id: member.team_id,
        month: format!("{:04}-{:02}", month.year(), u8::from(month.month())),
        ends_at: usage::next_month(now),
        micro_usd: lines.iter().map(usage::Line::micro_usd).sum(),
        budget_cents: settings.platform_budget_cents,
        platforms: PLATFORMS.iter().filter_map(|(slug, _)| platform(slug, &lines)).collect(),
    }))
}

fn platform(slug: &str, lines: &[usage::Line]) -> Option<PlatformUsage> {
    let tariff = tariff(slug)?;
    let units = |kind: &str| lines.iter().find(|line| line.platform == slug && line.kind == kind);
    let items = tariff.prices.iter().map(|price| {
        let units = units(price.kind).map_or(0, |line| u64::try_from(line.units).unwrap_or(0));
        UsageItem {
            kind: price.kind.to_owned(),
            name: price.name.to_owned(),
            units,
            unit_micro_usd: price.micro_usd,
            micro_usd: units * price.micro_usd,
        }
    });
    let items: Vec<UsageItem> = items.collect();
    let micro_usd = items.iter().map(|item| item.micro_usd).sum();
    Some(PlatformUsage { platform: slug.to_owned(), prices_as_of: tariff.as_of.to_owned(), micro_usd, items })
}
