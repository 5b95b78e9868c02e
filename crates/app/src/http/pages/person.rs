//! Who looks at a page: what every pane needs to know to be drawn.

use super::frame::{Frame, Notice, PauseBar, TeamChoice};
use super::marks::{Mark, Tone};
use crate::accounts::integrations;
use crate::app::App;
use crate::flow::approve::Decision;
use crate::flow::ingest::{inbox, normalise};
use crate::flow::notices;
use crate::flow::send::{self, SwitchScope};
use crate::http::auth::PageMember;
use crate::model::{IntegrationState, Role};
use rejoinder_platforms::LengthRule;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Clone)]
pub struct Person {
    pub app: App,
    pub now: OffsetDateTime,
    pub user_id: Uuid,
    pub name: String,
    pub team_id: Uuid,
    pub team_name: String,
    pub role: Role,
    /// The teams beside this one.
    pub other_teams: Vec<TeamChoice>,
    pub csrf: String,
}

impl Person {
    pub fn of<R>(app: &App, member: PageMember<R>) -> Self {
        Self {
            app: app.clone(),
            now: app.clock.now(),
            user_id: member.caller.user_id,
            name: member.caller.name,
            other_teams: TeamChoice::beside(member.team_id, member.teams),
            team_id: member.team_id,
            team_name: member.team_name,
            role: member.role,
            csrf: member.caller.csrf,
        }
    }

    /// Editors draft and decide.
    pub fn may_act(&self) -> bool {
        self.role >= Role::Editor
    }

    /// Admins connect accounts, resume them and stop the team.
    pub fn may_connect(&self) -> bool {
        self.role >= Role::Admin
    }

    pub fn decides_on(&self, suggestion_id: Uuid) -> Decision {
        Decision { team_id: self.team_id, suggestion_id, by: self.user_id }
    }

    pub async fn frame(&self, conn: &mut PgConnection) -> Result<Frame, sqlx::Error> {
        let waiting = inbox::count_open(conn, self.team_id).await?;
        let accounts = integrations::list(conn, self.team_id).await?;
        let needs_somebody = |state| matches!(state, IntegrationState::Paused | IntegrationState::NeedsReconnect);
        let problems = accounts.iter().filter(|account| needs_somebody(account.state())).count();
        let dry_run = self.app.config.dry_run.then(|| Notice {
            tone: Tone::Held,
            text: "Dry run is on (DRY_RUN): nothing leaves this server. An approved reply comes back to you instead."
                .to_owned(),
        });
        Ok(Frame {
            team_id: self.team_id,
            team_name: self.team_name.clone(),
            other_teams: self.other_teams.clone(),
            user_name: self.name.clone(),
            csrf: self.csrf.clone(),
            now: self.now,
            waiting: u64::try_from(waiting).unwrap_or(0),
            account_problems: problems as u64,
            unknown: u64::try_from(send::uncertain::count(conn, self.team_id).await?).unwrap_or(0),
            notices: u64::try_from(notices::count_open(conn, self.team_id).await?).unwrap_or(0),
            pauses: self.pauses(conn).await?,
            notice: dry_run,
        })
    }

    async fn pauses(&self, conn: &mut PgConnection) -> Result<Vec<PauseBar>, sqlx::Error> {
        let server = send::standing(conn, SwitchScope::Instance).await?.map(|standing| PauseBar {
            what: "All sending on this server is paused.",
            why: standing.reason,
            by: None,
            since: standing.since,
            resume_path: None,
            who_resumes: "Its operator can resume it.",
        });
        let team = send::standing(conn, SwitchScope::Team(self.team_id)).await?.map(|standing| PauseBar {
            what: "All sending of the team is paused.",
            why: standing.reason,
            by: standing.by_name,
            since: standing.since,
            resume_path: self.may_connect().then_some("/dashboard/resume"),
            who_resumes: "An admin can resume it.",
        });
        Ok(server.into_iter().chain(team).collect())
    }

    /// How long a reply on the platform may be. One that is not set up here takes nothing anyway.
    pub fn length(&self, platform: &str) -> LengthRule {
        let reader = self.app.readers.get(platform);
        reader.map_or(LengthRule::characters(normalise::MAX_CHARS), |reader| reader.capabilities().length)
    }
}

impl Mark {
    /// By the list of platforms; a slug that is no longer on it stands for itself.
    pub fn of(slug: &str) -> Self {
        let known = rejoinder_platforms::PLATFORMS.iter().find(|(known, _)| *known == slug);
        Self::new(slug, known.map_or(slug, |(_, name)| name))
    }

    /// An account's name as people write it there: "u/beanfan", "@calm".
    pub fn handle(&self, name: &str) -> String {
        if self.slug == "reddit" { format!("u/{name}") } else { format!("@{name}") }
    }
}
