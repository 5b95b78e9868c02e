//! Sign-in for pages: who is not signed in is led to the sign-in page and from there back to where they were going.

use super::{Auth, Caller, RequiredRole, identify, require_role};
use crate::accounts::teams::Membership;
use crate::app::App;
use crate::error::Problem;
use crate::model::Role;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::marker::PhantomData;
use url::{Url, form_urlencoded};
use uuid::Uuid;

const SIGN_IN: &str = "/signin";

/// As `Caller`, for pages, which take a session only: what a program may do stands in the API.
#[derive(Debug, Clone)]
pub struct PageCaller(pub Caller);

/// As `TeamMember`, for pages: the person's oldest team.
#[derive(Debug, Clone)]
pub struct PageMember<R> {
    pub caller: Caller,
    pub team_id: Uuid,
    pub team_name: String,
    pub role: Role,
    required: PhantomData<R>,
}

/// Why a page is not shown.
#[derive(Debug)]
pub enum SignInFirst {
    /// Go there first.
    Redirect(String),
    /// The same for a part of a page that htmx asked for.
    RedirectWholePage(String),
    Refused(Problem),
}

impl From<Problem> for SignInFirst {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<sqlx::Error> for SignInFirst {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for SignInFirst {
    fn into_response(self) -> Response {
        let answer = |status: StatusCode, name: &'static str, to: String| {
            let to = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static(SIGN_IN));
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (status, [(header::HeaderName::from_static(name), to), no_store]).into_response()
        };
        match self {
            Self::Redirect(to) => answer(StatusCode::SEE_OTHER, "location", to),
            Self::RedirectWholePage(to) => answer(StatusCode::UNAUTHORIZED, "hx-redirect", to),
            Self::Refused(problem) => problem.into_response(),
        }
    }
}

impl FromRequestParts<App> for PageCaller {
    type Rejection = SignInFirst;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, SignInFirst> {
        let caller = identify(parts, app).await?.ok_or_else(|| sign_in_first(parts))?;
        match caller.auth {
            Auth::Session(_) | Auth::Clerk { cookie: true, .. } => Ok(Self(caller)),
            Auth::Token { .. } | Auth::Clerk { .. } => Err(Problem::unauthorized(
                "Pages are for people: they take the session cookie. Programs find everything under /api/docs.",
            )
            .into()),
        }
    }
}

impl<R: RequiredRole> FromRequestParts<App> for PageMember<R> {
    type Rejection = SignInFirst;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, SignInFirst> {
        let PageCaller(caller) = PageCaller::from_request_parts(parts, app).await?;
        let teams = caller.memberships(&mut *app.db.acquire().await?).await?;
        let Some(team) = teams.into_iter().next() else {
            return Err(Problem::forbidden("You are in no team yet. Ask an admin of a team to invite you.").into());
        };
        require_role(team.role, R::ROLE)?;
        let Membership { team_id, team_name, role, .. } = team;
        Ok(Self { caller, team_id, team_name, role, required: PhantomData })
    }
}

fn sign_in_first(parts: &Parts) -> SignInFirst {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if header("hx-request") == Some("true") {
        // The part has no address of its own: back to the page around it.
        let around = header("hx-current-url").and_then(|text| Url::parse(text).ok());
        return SignInFirst::RedirectWholePage(with_next(
            around.as_ref().map(|url| &url[url::Position::BeforePath..url::Position::AfterQuery]),
        ));
    }
    let asked = parts.uri.path_and_query().map(|path| path.as_str());
    SignInFirst::Redirect(with_next(asked.filter(|_| parts.method == Method::GET)))
}

fn with_next(path: Option<&str>) -> String {
    match path.and_then(local_path) {
        Some("/") | None => SIGN_IN.to_owned(),
        Some(path) => {
            format!("{SIGN_IN}?{}", form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish())
        }
    }
}

/// The path if a redirect to it stays on this server: what comes as `next` can come from anybody.
pub fn local_path(path: &str) -> Option<&str> {
    let stays = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 2_000
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    stays.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn answer(method: Method, uri: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sign_in_first(&request.body(()).unwrap().into_parts().0).into_response()
    }

    #[test]
    fn who_is_not_signed_in_comes_back_to_the_page_asked_for() {
        let response = answer(Method::GET, "/inbox?state=open&q=a%26b", &[]);
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()["location"], "/signin?next=%2Finbox%3Fstate%3Dopen%26q%3Da%2526b");
        let posted = answer(Method::POST, "/items/1/done", &[]);
        assert_eq!(posted.headers()["location"], "/signin", "a form is not sent again");
    }

    #[test]
    fn a_part_of_a_page_sends_the_whole_page_to_sign_in() {
        let headers = [("hx-request", "true"), ("hx-current-url", "https://replies.example/inbox?state=open#top")];
        let response = answer(Method::POST, "/items/1/done", &headers);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["hx-redirect"], "/signin?next=%2Finbox%3Fstate%3Dopen");
    }

    #[test]
    fn next_never_leads_to_another_site() {
        assert_eq!(local_path("/inbox?state=open"), Some("/inbox?state=open"));
        for path in
            ["", "inbox", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "/a b", "/\t/evil"]
        {
            assert_eq!(local_path(path), None, "{path:?}");
        }
    }
}
