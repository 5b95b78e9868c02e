//! The addresses that only lead on: the root, the dashboard's own, one suggestion's.

use super::accounts::CONNECT_RESULT;
use super::asked::see_other;
use crate::app::App;
use crate::error::Problem;
use crate::flow::suggestion;
use crate::http::auth::{Loaded, PageCaller, SuggestionRef, Viewer};
use crate::http::cookies;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::Response;

pub async fn root(_: PageCaller) -> Response {
    see_other("/dashboard")
}

/// A consent ends here with its result in the query; everybody else comes for the inbox.
pub async fn dashboard(_: PageCaller, RawQuery(query): RawQuery) -> Response {
    match query {
        Some(query) if query.contains(CONNECT_RESULT) => see_other(&format!("/dashboard/accounts?{query}")),
        _ => see_other("/dashboard/inbox"),
    }
}

/// A suggestion stands beside the item that it answers.
pub async fn suggestion(
    State(app): State<App>,
    _: PageCaller,
    loaded: Loaded<SuggestionRef, Viewer>,
) -> Result<Response, Problem> {
    let found = suggestion::load(&mut *app.db.acquire().await?, loaded.team_id, loaded.id).await?;
    let found = found.ok_or_else(|| Problem::not_found("suggestion"))?;
    let mut answer = see_other(&format!("/dashboard/inbox?filter=all&item={}&step=draft", found.item_id));
    // The link may lead into another team of the person.
    answer.headers_mut().append(header::SET_COOKIE, cookies::set_team(loaded.team_id, &app.config.public_url));
    Ok(answer)
}

pub async fn nothing_here() -> Problem {
    Problem::not_found("page")
}
