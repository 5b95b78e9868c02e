//! Pausing and resuming by form: an account, and the whole team. A pause leads back when no call can start any more, and the page
//! then says what was under way.

use super::{AccountsQuery, Integration, Mark};
use crate::app::App;
use crate::error::Problem;
use crate::flow::send::{SwitchScope, Switches};
use crate::http::auth::{Admin, Editor, IntegrationRef, Loaded, PageMember, Viewer, local_path};
use crate::http::csrf::CsrfForm;
use crate::http::pages::asked::see_other;
use crate::http::pages::signin::NoFields;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use url::{Position, Url};
use uuid::Uuid;

const TEAM: &str = "team";

/// What a pause found.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// "u/acme_coffee"
    pub what: String,
    pub in_flight: u64,
    pub still_running: u64,
}

#[derive(Debug, Deserialize)]
pub struct SentReason {
    reason: String,
}

pub async fn pause(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<IntegrationRef, Editor>,
    CsrfForm(sent): CsrfForm<SentReason>,
) -> Result<Response, Problem> {
    let scope = SwitchScope::Integration { team_id: wanted.team_id, id: wanted.id };
    stop(&app, scope, wanted.caller.user_id, &sent, &wanted.id.to_string()).await
}

pub async fn pause_team(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(sent): CsrfForm<SentReason>,
) -> Result<Response, Problem> {
    stop(&app, SwitchScope::Team(member.team_id), member.caller.user_id, &sent, TEAM).await
}

async fn stop(app: &App, scope: SwitchScope, by: Uuid, sent: &SentReason, what: &str) -> Result<Response, Problem> {
    let paused = Switches::from(app).pause(scope, Some(by), Some(&sent.reason)).await?;
    Ok(see_other(&format!(
        "/dashboard/accounts?stopped={what}&in_flight={}&still_running={}",
        paused.in_flight, paused.still_running
    )))
}

pub async fn resume(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<IntegrationRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let scope = SwitchScope::Integration { team_id: wanted.team_id, id: wanted.id };
    Switches::from(&app).resume(scope, Some(wanted.caller.user_id)).await?;
    Ok(see_other("/dashboard/accounts"))
}

/// The bar with this button stands on every page: back to the one where it was pressed.
pub async fn resume_team(
    State(app): State<App>,
    member: PageMember<Admin>,
    headers: HeaderMap,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    Switches::from(&app).resume(SwitchScope::Team(member.team_id), Some(member.caller.user_id)).await?;
    Ok(see_other(&pressed_on(&headers).unwrap_or_else(|| "/dashboard/accounts".to_owned())))
}

fn pressed_on(headers: &HeaderMap) -> Option<String> {
    let page = Url::parse(headers.get(header::REFERER)?.to_str().ok()?).ok()?;
    let path = &page[Position::BeforePath..Position::AfterQuery];
    // Not back to what an earlier action came to.
    local_path(path).filter(|path| path.starts_with("/dashboard/") && !path.contains("stopped=")).map(str::to_owned)
}

impl Stopped {
    /// "2 calls were under way and have ended."
    pub fn calls(&self) -> String {
        match (self.in_flight, self.still_running) {
            (0, _) => "No call was under way.".to_owned(),
            (1, 0) => "1 call was under way and has ended.".to_owned(),
            (n, 0) => format!("{n} calls were under way and have ended."),
            (n, k) => {
                format!("{n} were under way; of {k} nobody knows the end yet, we read it back from the platform.")
            }
        }
    }
}

impl AccountsQuery {
    /// Numbers that nobody sent by a pause do no harm: they are only shown to who typed them.
    pub(super) fn stopped(&self, accounts: &[Integration]) -> Option<Stopped> {
        let what = match self.stopped.as_deref()? {
            TEAM => "All sending of the team".to_owned(),
            id => {
                let account = accounts.iter().find(|account| account.id.to_string() == id)?;
                Mark::of(&account.platform).handle(&account.display_name)
            }
        };
        let count = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Stopped { what, in_flight: count(&self.in_flight), still_running: count(&self.still_running) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_bar_leads_back_to_its_page_and_nowhere_else() {
        let from = |referer: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::REFERER, HeaderValue::from_static(referer));
            pressed_on(&headers)
        };
        assert_eq!(from("https://a.example/dashboard/inbox?q=1#x").as_deref(), Some("/dashboard/inbox?q=1"));
        for elsewhere in ["", "https://a.example/signin", "https://a.example/dashboard/accounts?stopped=team", "//b"] {
            assert_eq!(from(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_pause_tells_what_was_under_way() {
        let said = |in_flight, still_running| Stopped { what: "u/a".to_owned(), in_flight, still_running }.calls();
        assert_eq!(
            [said(0, 0), said(1, 0), said(2, 0)],
            ["No call was under way.", "1 call was under way and has ended.", "2 calls were under way and have ended."]
        );
        assert!(said(3, 1).starts_with("3 were under way; of 1 nobody knows the end"));
    }
}
