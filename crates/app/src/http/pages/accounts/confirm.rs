//! A consent that came back to a browser without the session of whoever began it: the person says here that the account is theirs.

use super::{AccountsQuery, Mark, known};
use crate::accounts::connect::{self, CompleteError};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::PageCaller;
use crate::http::csrf::CsrfForm;
use crate::http::pages::asked::see_other;
use crate::http::pages::consent::ConsentOutcome;
use crate::http::pages::person::Person;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;

#[derive(Debug, Clone)]
pub struct Confirm {
    pub mark: Mark,
    /// "u/acme_coffee"
    pub name: String,
    pub team_name: String,
    pub ticket: String,
    /// Where the consent reaches several accounts.
    pub choices: Vec<ChoiceLine>,
}

/// One account to choose.
#[derive(Debug, Clone)]
pub struct ChoiceLine {
    pub id: String,
    /// "@acme.coffee"
    pub name: String,
    /// "Page Acme Coffee"
    pub place: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentTicket {
    ticket: String,
    account_id: Option<String>,
}

pub async fn complete(
    State(app): State<App>,
    PageCaller(caller): PageCaller,
    CsrfForm(sent): CsrfForm<SentTicket>,
) -> Result<Response, Problem> {
    let failed = |reason| Ok(see_other(&format!("/dashboard/accounts?integration=failed&reason={reason}")));
    let account_id = sent.account_id.as_deref();
    match connect::complete(&app, &app.moment(), caller.user_id, &sent.ticket, account_id).await {
        Ok(done) => Ok(see_other(&format!("/dashboard/accounts?integration=connected&connected={}", done.platform))),
        Err(CompleteError::NotChosen) => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("integration", "confirm")
                .append_pair("ticket", &sent.ticket)
                .finish();
            Ok(see_other(&format!("/dashboard/accounts?{query}")))
        }
        Err(CompleteError::Unknown) => failed("other_person"),
        Err(CompleteError::Used | CompleteError::Expired) => failed("spent"),
        Err(CompleteError::NotMember | CompleteError::NotAdmin(_)) => failed("not_admin"),
        Err(CompleteError::Database(error)) => Err(error.into()),
        Err(CompleteError::Seal(error)) => Err(Problem::internal(&error)),
    }
}

impl AccountsQuery {
    /// What waits for this person, or why nothing does.
    pub(super) async fn confirmation(
        &self,
        conn: &mut PgConnection,
        person: &Person,
    ) -> Result<(Option<Confirm>, Option<(Mark, ConsentOutcome)>), sqlx::Error> {
        let Some(ticket) = self.ticket.as_deref().filter(|_| self.integration.as_deref() == Some("confirm")) else {
            return Ok((None, None));
        };
        let found = connect::look(conn, person.now, person.user_id, ticket).await?;
        let Some(pending) = found else {
            let mark = self.platform.as_deref().and_then(known).unwrap_or_else(|| Mark::new("", "The account"));
            return Ok((None, Some((mark, ConsentOutcome::OtherPerson))));
        };
        let mark = Mark::of(&pending.platform);
        let name = mark.handle(&pending.display_name);
        let line = |choice: connect::Choice| ChoiceLine {
            name: mark.handle(&choice.name),
            place: choice.place.unwrap_or_default(),
            id: choice.id,
        };
        let choices = pending.choices.into_iter().map(line).collect();
        Ok((Some(Confirm { name, mark, team_name: pending.team_name, ticket: ticket.to_owned(), choices }), None))
    }
}
