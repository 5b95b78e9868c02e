//! The month's budget for what platforms charge, where it meets the stages: reading that stops for want of it, and replies that are
//! counted where they are known to stand. It stops reading, never sending.

use crate::accounts::integrations;
use crate::clock::Moment;
use crate::coord::usage::{self, Payer};
use crate::flow::activity::Subject;
use crate::flow::notices::{self, Notice};
use crate::flow::suggestion::{Change, Suggestion};
use crate::model::NoticeKind;
use rejoinder_platforms::{Charge, tariff};
use sqlx::PgConnection;
use uuid::Uuid;

/// Why an account is not read; also how we know it again.
pub const SPENT: &str = "the team's budget for what platforms charge is used up for this month. Reading goes on with the next one, or when an admin raises it in the settings; approved replies go out";

const TOLD: &str = "The team's budget for what platforms charge could be passed by the next look, so nothing more is read there this month; approved replies still go out. Reading goes on with the next month (UTC), or when an admin raises the budget in the settings.";

/// Tells the team, once for as long as it lasts.
pub async fn tell(conn: &mut PgConnection, moment: &Moment, team_id: Uuid) -> Result<(), sqlx::Error> {
    let (kind, subject) = (NoticeKind::PlatformBudgetSpent, Subject::Team(team_id));
    notices::raise(conn, moment, team_id, Notice { kind, subject, text: TOLD.to_owned() }).await
}

/// There is money again.
pub async fn goes_on(conn: &mut PgConnection, moment: &Moment, team_id: Uuid) -> Result<(), sqlx::Error> {
    notices::resolve(conn, moment, team_id, NoticeKind::PlatformBudgetSpent, team_id).await
}

/// The budget is another one now: accounts that wait for it are read at once, and say so again where it does not suffice.
pub async fn budget_changed(conn: &mut PgConnection, moment: &Moment, team_id: Uuid) -> Result<(), sqlx::Error> {
    integrations::poll_those_with(conn, moment, team_id, SPENT).await?;
    goes_on(conn, moment, team_id).await
}

/// A reply that stands on its platform.
#[derive(Debug, Clone)]
pub struct Posted {
    team_id: Uuid,
    integration_id: Uuid,
    text: String,
    reply_id: String,
}

impl Posted {
    pub fn of(suggestion: &Suggestion, change: &Change) -> Option<Self> {
        let Change::Posted { reply_id, .. } = change else { return None };
        Some(Self {
            team_id: suggestion.team_id,
            integration_id: suggestion.integration_id,
            text: suggestion.state.text.clone().unwrap_or_default(),
            reply_id: reply_id.clone(),
        })
    }
}

/// Counts replies in the transaction that says that they stand there: also those whose answer was lost.
pub async fn posted(conn: &mut PgConnection, moment: &Moment, mut replies: Vec<Posted>) -> Result<(), sqlx::Error> {
    replies.sort_by_key(|reply| reply.team_id);
    let ids: Vec<Uuid> = replies.iter().map(|reply| reply.integration_id).collect();
    let platforms = integrations::platforms_of(conn, &ids).await?;
    for reply in replies {
        let platform = platforms.iter().find(|(id, _)| *id == reply.integration_id).map(|(_, platform)| platform);
        let Some((platform, tariff)) = platform.and_then(|platform| Some((platform, tariff(platform)?))) else {
            continue;
        };
        // A reply is made once and by one app: its id alone keeps it from being counted twice.
        let payer = Payer { team_id: reply.team_id, platform, client_id: "" };
        let charge = Charge { kind: (tariff.reply)(&reply.text), thing: reply.reply_id };
        usage::count(conn, payer, &[charge], moment.now).await?;
    }
    Ok(())
}
