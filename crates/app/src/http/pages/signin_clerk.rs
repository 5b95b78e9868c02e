//! Signing in to the dashboard through Clerk: its cookie, its handshake, its page to sign in on.
//!
//! Everything meets at `/signin`, where whoever is not signed in is led. A cookie of Clerk that counts opens a session of ours, which
//! all other pages know; Clerk's cookies themselves open nothing, so no other site can act through them. With signs of a session
//! (an old token, `__client_uat`) the browser is sent to the handshake and comes back with fresh cookies; without, to Clerk's page.
//!
//! What can go wrong: a link with somebody else's handshake signs nobody in, since the way back carries a secret of this browser; keys
//! or clocks that do not fit would send the browser round in circles, so after a few rounds a page says what to check.

use super::asked::see_other;
use super::signin::{self, SignInQuery, signed_in, way_on};
use crate::accounts::clerk::{Clerk, Dashboard, SignInError};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{PageCaller, SignInFirst, clerk_problem, local_path};
use crate::http::cookies::{self, Round};
use crate::http::csrf::PreSession;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use url::Url;

/// Ways past Clerk within a minute, after which we stop.
const MOST_ROUNDS: u8 = 4;
/// Bytes of the secret that the way back carries.
const STATE_BYTES: usize = 16;
/// The version of the frontend API that this was written against.
const API_VERSION: &str = "2025-11-10";

#[derive(Debug, Clone, Template)]
#[template(path = "signin_clerk.html")]
pub struct ClerkSignInPage {
    /// Where signing in begins.
    pub begin: String,
    /// The form for accounts of this server, where they may sign in too.
    pub password: Option<String>,
    pub message: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub struct ClerkQuery {
    next: Option<String>,
    /// The person asked to sign in: also right after signing out.
    #[serde(default)]
    begin: Option<String>,
    out: Option<String>,
    /// The person has an account of this server.
    password: Option<String>,
    /// The secret of this browser, on the way back.
    state: Option<String>,
    #[serde(rename = "__clerk_handshake")]
    handshake: Option<String>,
}

/// What the request shows, and the settings to judge it by.
struct Visit<'a> {
    app: &'a App,
    clerk: &'a Clerk,
    dashboard: &'a Dashboard,
    headers: &'a HeaderMap,
    query: ClerkQuery,
    round: Round,
}

pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    session: PreSession,
    caller: Result<PageCaller, SignInFirst>,
    Query(plain): Query<SignInQuery>,
    Query(query): Query<ClerkQuery>,
) -> Result<Response, Problem> {
    let Some((clerk, dashboard)) =
        app.clerk.as_ref().and_then(|clerk| Some((clerk, clerk.settings().dashboard.as_ref()?)))
    else {
        return Ok(signin::show(State(app), session, caller, Query(plain)).await);
    };
    if caller.is_ok() {
        return Ok(see_other(way_on(query.next.as_deref())));
    }
    let round = cookies::round(&headers, &app.config.public_url);
    let visit = Visit { app: &app, clerk, dashboard, headers: &headers, query, round };
    if dashboard.builtin_too && visit.query.password.is_some() {
        return Ok(signin::show(State(app), session, caller, Query(plain)).await);
    }
    if visit.query.begin.is_none() && !visit.comes_back() {
        let out = "You are signed out here. At Clerk you stay signed in until you sign out there.";
        if visit.query.out.is_some() {
            return Ok(visit.stop(Some(out), None));
        }
        if dashboard.builtin_too {
            return Ok(visit.stop(None, None));
        }
    }
    visit.answer().await
}

impl Visit<'_> {
    async fn answer(&self) -> Result<Response, Problem> {
        if let Some(answer) = self.handshake().await? {
            return Ok(answer);
        }
        for token in cookies::clerk(self.headers, "__session", &self.dashboard.key.cookie_suffix) {
            if let Some(answer) = self.enter(token, &[]).await? {
                return Ok(answer);
            }
        }
        if self.round.count >= MOST_ROUNDS {
            let told = "Signing in went round in circles. The operator checks that CLERK_PUBLISHABLE_KEY and CLERK_ISSUER are of one \
                        instance, that PUBLIC_URL is the address in the browser, and the clock of this server.";
            return Ok(self.stop(None, Some(told)));
        }
        Ok(if self.has_signs_of_a_session() { self.to_handshake() } else { self.to_sign_in_page(&[]) })
    }

    /// The secret in the address is the one that this browser was sent away with.
    fn comes_back(&self) -> bool {
        let state = self.query.state.as_deref();
        state.is_some_and(|state| !state.is_empty() && self.round.state.as_deref() == Some(state))
    }

    /// What the browser brings back from the handshake. None: nothing that counts.
    async fn handshake(&self) -> Result<Option<Response>, Problem> {
        let cookie =
            cookies::clerk(self.headers, "__clerk_handshake", &self.dashboard.key.cookie_suffix).into_iter().next();
        let Some(token) = self.query.handshake.as_deref().or(cookie).filter(|_| self.comes_back()) else {
            return Ok(None);
        };
        let told = match self.clerk.handshake(token).await {
            Ok(told) => told,
            Err(SignInError::Token(error)) => {
                tracing::warn!(%error, "a handshake of Clerk does not count");
                return Ok(None);
            }
            Err(error) => return Err(clerk_problem(error)),
        };
        for token in &told.tokens {
            if let Some(answer) = self.enter(token, &told.cookies).await? {
                return Ok(Some(answer));
            }
        }
        Ok((self.round.count < MOST_ROUNDS).then(|| self.to_sign_in_page(&told.cookies)))
    }

    /// In with a token of Clerk's that counts; `told` are cookies to set with it.
    async fn enter(&self, token: &str, told: &[String]) -> Result<Option<Response>, Problem> {
        let moment = self.app.moment();
        let new = match self.clerk.open_dashboard(&self.app.db, &moment, token).await {
            Ok(new) => new,
            Err(SignInError::Token(_) | SignInError::Ended) => return Ok(None),
            Err(SignInError::Impersonated) => {
                let told = "At Clerk you act as another person. The dashboard is for the person alone: end that there and sign in as yourself.";
                return Ok(Some(self.stop(None, Some(told))));
            }
            Err(error) => return Err(clerk_problem(error)),
        };
        let mut answer = signed_in(self.app, &new, way_on(self.query.next.as_deref()));
        set(&mut answer, told);
        answer.headers_mut().append(header::SET_COOKIE, cookies::clear_round(&self.app.config.public_url));
        Ok(Some(answer))
    }

    fn has_signs_of_a_session(&self) -> bool {
        let suffix = &self.dashboard.key.cookie_suffix;
        let cookies = |name| cookies::clerk(self.headers, name, suffix);
        let seen = cookies("__client_uat").iter().any(|since| *since != "0") || !cookies("__session").is_empty();
        // In development only Clerk's own domain knows; and who comes back from its page has just signed in.
        let unknown = self.dashboard.key.is_development && cookies("__clerk_db_jwt").is_empty();
        seen || self.comes_back() || unknown
    }

    fn to_handshake(&self) -> Response {
        let state = self.new_state();
        let mut to = self.dashboard.key.frontend_api.join("v1/client/handshake").expect("a fixed path");
        let suffix = &self.dashboard.key.cookie_suffix;
        to.query_pairs_mut()
            .append_pair("redirect_url", self.way_back(&state).as_str())
            .append_pair("__clerk_api_version", API_VERSION)
            .append_pair("suffixed_cookies", "true")
            .append_pair("__clerk_hs_reason", "session-token-expired");
        if let Some(browser) =
            cookies::clerk(self.headers, "__clerk_db_jwt", suffix).first().filter(|_| self.dashboard.key.is_development)
        {
            to.query_pairs_mut().append_pair("__clerk_db_jwt", browser);
        }
        self.away(StatusCode::TEMPORARY_REDIRECT, &to, &state)
    }

    fn to_sign_in_page(&self, told: &[String]) -> Response {
        let state = self.new_state();
        let mut to = self.dashboard.sign_in_url.clone();
        to.query_pairs_mut().append_pair("redirect_url", self.way_back(&state).as_str());
        let mut answer = self.away(StatusCode::SEE_OTHER, &to, &state);
        set(&mut answer, told);
        answer
    }

    fn new_state(&self) -> String {
        self.app.entropy.token(STATE_BYTES)
    }

    fn way_back(&self, state: &str) -> Url {
        let mut back = self.app.config.public_url.join("signin").expect("a fixed path");
        back.query_pairs_mut().append_pair("state", state);
        if let Some(next) = self.query.next.as_deref().and_then(local_path) {
            back.query_pairs_mut().append_pair("next", next);
        }
        back
    }

    fn away(&self, status: StatusCode, to: &Url, state: &str) -> Response {
        let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let round = Round { count: self.round.count.saturating_add(1), state: Some(state.to_owned()) };
        let remember = (header::SET_COOKIE, cookies::set_round(&round, &self.app.config.public_url));
        match HeaderValue::from_str(to.as_str()) {
            Ok(to) => (status, [(header::LOCATION, to), no_store, remember]).into_response(),
            Err(_) => self.stop(
                None,
                Some("The address of the sign-in service cannot be used. The operator checks CLERK_SIGN_IN_URL."),
            ),
        }
    }

    /// No further by itself: a page from which the person goes on.
    fn stop(&self, message: Option<&str>, error: Option<&str>) -> Response {
        let way = |kind: &str| {
            let next = self.query.next.as_deref().and_then(local_path);
            let pairs = [(kind, "1")].into_iter().chain(next.map(|next| ("next", next)));
            format!("/signin?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
        };
        let password = self.dashboard.builtin_too.then(|| way("password"));
        let (message, error) = (message.map(str::to_owned), error.map(str::to_owned));
        let page = ClerkSignInPage { begin: way("begin"), password, message, error };
        let mut answer = super::page(StatusCode::OK, &page);
        answer.headers_mut().append(header::SET_COOKIE, cookies::clear_round(&self.app.config.public_url));
        answer
    }
}

fn set(answer: &mut Response, told: &[String]) {
    for cookie in told {
        if let Ok(mut value) = HeaderValue::from_str(cookie) {
            value.set_sensitive(true);
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

impl ClerkSignInPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let begin = "/signin?begin=1&next=%2Fdashboard%2Finbox".to_owned();
        let out = "You are signed out here. At Clerk you stay signed in until you sign out there.".to_owned();
        let circles = "Signing in went round in circles. The operator checks the clock of this server.".to_owned();
        let password = Some("/signin?password=1".to_owned());
        let choice = Self { begin: "/signin?begin=1".to_owned(), password, message: None, error: None };
        let signed_out = Self { password: None, message: Some(out), ..choice.clone() };
        let stopped = Self { begin, password: None, message: None, error: Some(circles) };
        vec![("choice", choice), ("signed-out", signed_out), ("stopped", stopped)]
    }
}
