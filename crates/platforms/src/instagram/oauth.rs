//! Instagram Login: code, short-lived token, long-lived token of about 60 days, which renews itself. There is no refresh token beside it:
//! a token that was not renewed in its 60 days is dead, and none younger than a day can be renewed.
//! Source: Meta's page "Business Login for Instagram". The token host words its errors in a shape of its own.

use super::errors::{self, Decision, GraphError};
use super::{Api, CAPABILITIES, wire};
use crate::error::{AuthError, Scope};
use crate::http::{self, Answer, Unsent, address};
use crate::permits::{Host, Permits, Through};
use crate::types::{AuthorizeRequest, Grant};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// The credentials that a consent goes by.
fn client<'a>(api: &'a Api, through: &'a Through) -> (&'a str, &'a SecretString) {
    match &through.app {
        Some(app) => (&app.client_id, &app.client_secret),
        None => (&api.config.app_id, &api.config.app_secret),
    }
}

pub(super) fn authorize_url(api: &Api, through: &Through, request: &AuthorizeRequest) -> Url {
    let scopes: Vec<&str> = CAPABILITIES.scopes.iter().map(|scope| scope.name).collect();
    let mut url = address(&api.config.dialog_base, &["oauth", "authorize"]);
    url.query_pairs_mut()
        .append_pair("client_id", client(api, through).0)
        .append_pair("redirect_uri", request.redirect_uri.as_str())
        .append_pair("response_type", "code")
        .append_pair("scope", &scopes.join(","))
        .append_pair("state", &request.state);
    url
}

pub(super) async fn exchange_code(
    api: &Api,
    through: &Through,
    code: &str,
    redirect_uri: &Url,
) -> Result<Grant, AuthError> {
    let (app_id, app_secret) = client(api, through);
    let form = [
        ("client_id", app_id),
        ("client_secret", app_secret.expose_secret()),
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect_uri.as_str()),
        // The address ends in `#_`, which is no part of the code.
        ("code", code.trim_end_matches("#_")),
    ];
    let url = address(&api.config.token_base, &["oauth", "access_token"]);
    let short = short_lived(&ask("oauth/access_token", api.read.post(url).form(&form), &through.permits).await?)?;
    let query = [
        ("grant_type", "ig_exchange_token"),
        ("client_secret", app_secret.expose_secret()),
        ("access_token", short.access_token.expose_secret()),
    ];
    let url = address(&api.config.graph_base, &["access_token"]);
    let long = long_lived(&ask("access_token", api.read.get(url).query(&query), &through.permits).await?)?;
    Ok(Grant { scopes: short.scopes, ..long })
}

pub(super) async fn refresh(api: &Api, through: &Through, token: &SecretString) -> Result<Grant, AuthError> {
    let query = [("grant_type", "ig_refresh_token"), ("access_token", token.expose_secret())];
    let url = address(&api.config.graph_base, &["refresh_access_token"]);
    long_lived(&ask("refresh_access_token", api.read.get(url).query(&query), &through.permits).await?)
}

pub(super) async fn ask(call: &'static str, request: RequestBuilder, permits: &Permits) -> Result<Answer, AuthError> {
    let passing = |reason: String| AuthError::Unavailable { reason, after: None };
    let response = http::send(request, permits, Host::Token).await.map_err(|unsent| match unsent {
        Unsent::NoPermit(after) => AuthError::Unavailable { reason: http::NO_PERMIT.to_owned(), after: Some(after) },
        Unsent::Failed(error) => passing(http::trouble(error)),
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = http::read_body(response, http::BODY_LIMIT).await.map_err(|error| passing(error.to_string()))?;
    tracing::debug!(platform = "instagram", call, status, "answered");
    Ok(Answer { status, headers, body })
}

/// The answer to a code: flat with a list of permissions, or a list of one with them in one text.
pub(super) fn short_lived(answer: &Answer) -> Result<Grant, AuthError> {
    let body = answer.json().unwrap_or_default();
    let inner = body.pointer("/data/0").unwrap_or(&body);
    match token_in(inner).filter(|_| answer.status == 200) {
        Some(access_token) => {
            Ok(Grant { access_token, refresh_token: None, scopes: permissions(inner), expires_in: None })
        }
        None => Err(token_host_failure(answer, &body)),
    }
}

/// An answer that has nothing in it that we need.
pub(super) fn node_answer(answer: &Answer) -> Result<(), AuthError> {
    let has_id = answer.json().is_some_and(|body| wire::id_at(&body, "id").is_some());
    if answer.status == 200 && has_id { Ok(()) } else { Err(failure(errors::decide(answer, Scope::Account))) }
}

/// The answer to an exchange or a renewal. The token is what renews itself.
pub(super) fn long_lived(answer: &Answer) -> Result<Grant, AuthError> {
    let body = answer.json().unwrap_or_default();
    match token_in(&body).filter(|_| answer.status == 200) {
        Some(access_token) => Ok(Grant {
            refresh_token: Some(access_token.clone()),
            access_token,
            scopes: permissions(&body),
            expires_in: wire::number(&body, "expires_in")
                .filter(|n| (1.0..1e9).contains(n))
                .map(time::Duration::seconds_f64),
        }),
        None => Err(failure(errors::decide(answer, Scope::Account))),
    }
}

fn token_in(body: &Value) -> Option<SecretString> {
    wire::text(body, "access_token").filter(|token| !token.is_empty()).map(SecretString::from)
}

fn permissions(body: &Value) -> Vec<String> {
    let list = body.get("permissions").unwrap_or(&Value::Null);
    let words: Vec<&str> = match list {
        Value::String(words) => words.split([',', ' ']).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `{"error_type", "code": 400, "error_message"}`: the message alone tells a bad code from a bad app.
fn token_host_failure(answer: &Answer, body: &Value) -> AuthError {
    let flat = errors::graph_error(body).filter(|error| error.code.is_none());
    match flat {
        Some(GraphError { message, .. }) if (400..500).contains(&answer.status) => match is_about_app(&message) {
            true => AuthError::AppRefused(message),
            false => AuthError::GrantDead(message),
        },
        _ => failure(errors::decide(answer, Scope::Item)),
    }
}

pub(super) fn failure(decision: Decision) -> AuthError {
    match decision {
        Decision::TokenDead { reason } => AuthError::GrantDead(reason),
        Decision::Wait { after, .. } => {
            AuthError::Unavailable { reason: "the budget is used up".to_owned(), after: Some(after) }
        }
        Decision::Passing(reason) => AuthError::Unavailable { reason, after: None },
        // An app that is refused stops every account of it: what is not plainly about the app stays with the one that was asked about.
        Decision::Refused { scope, reason, code, .. } => {
            match scope == Scope::App || code == "101" || is_about_app(&reason) {
                true => AuthError::AppRefused(format!("{reason} ({code})")),
                false => AuthError::GrantDead(format!("{reason} ({code})")),
            }
        }
    }
}

fn is_about_app(message: &str) -> bool {
    ["redirect_uri", "platform app", "client_id", "client secret", "Client Secret", "validating application"]
        .iter()
        .any(|words| message.contains(words))
}
