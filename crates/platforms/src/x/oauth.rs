//! OAuth2 with X: consent with PKCE (S256), a code that lives 30 seconds, access tokens of two hours, and refresh tokens of which each works
//! once. A refresh whose answer is lost therefore ends the grant: the next one is refused and a person connects again.
//! Source: "OAuth 2.0 Authorization Code Flow with PKCE" of X's pages; rotation by the reports of every client library.

use super::{Api, CAPABILITIES, wire};
use crate::error::AuthError;
use crate::http::{self, Answer, Unsent, address};
use crate::permits::{Host, Through};
use crate::types::{AuthorizeRequest, Grant};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;
use url::Url;

const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// What the token endpoint was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Code,
    Refresh,
    Revoke,
}

pub(super) fn authorize_url(api: &Api, through: &Through, request: &AuthorizeRequest) -> Url {
    let scopes: Vec<&str> = CAPABILITIES.scopes.iter().map(|scope| scope.name).collect();
    let mut url = address(&api.config.auth_base, &["i", "oauth2", "authorize"]);
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client(api, through).0)
        .append_pair("redirect_uri", request.redirect_uri.as_str())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("state", &request.state)
        .append_pair("code_challenge", &request.code_challenge)
        .append_pair("code_challenge_method", "S256");
    url
}

/// The credentials that a call about tokens signs with.
fn client<'a>(api: &'a Api, through: &'a Through) -> (&'a str, &'a SecretString) {
    match &through.app {
        Some(app) => (&app.client_id, &app.client_secret),
        None => (&api.config.client_id, &api.config.client_secret),
    }
}

pub(super) async fn exchange_code(
    api: &Api,
    through: &Through,
    code: &str,
    redirect: &Url,
    verifier: &str,
) -> Result<Grant, AuthError> {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect.as_str()),
        ("code_verifier", verifier),
    ];
    decide(&ask(api, through, "token", &form).await?, Asked::Code)
}

pub(super) async fn refresh(api: &Api, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
    decide(&ask(api, through, "token", &form).await?, Asked::Refresh)
}

/// Both tokens, since X does not say that one takes the other with it. One that is dead already is no error.
pub(super) async fn revoke(api: &Api, through: &Through, grant: &Grant) -> Result<(), AuthError> {
    for (token, hint) in
        grant.refresh_token.iter().map(|token| (token, "refresh_token")).chain([(&grant.access_token, "access_token")])
    {
        let form = [("token", token.expose_secret()), ("token_type_hint", hint)];
        let answer = ask(api, through, "revoke", &form).await?;
        if !(200..300).contains(&answer.status) {
            match failure(&answer, Asked::Revoke) {
                AuthError::GrantDead(_) => {}
                error => return Err(error),
            }
        }
    }
    Ok(())
}

async fn ask(api: &Api, through: &Through, call: &'static str, form: &[(&str, &str)]) -> Result<Answer, AuthError> {
    let url = address(&api.config.api_base, &["2", "oauth2", call]);
    let (id, secret) = client(api, through);
    let passing = |reason: String| AuthError::Unavailable { reason, after: None };
    let request = api.read.post(url).basic_auth(id, Some(secret.expose_secret())).form(form);
    let response = http::send(request, &through.permits, Host::Token).await.map_err(|unsent| match unsent {
        Unsent::NoPermit(wait) => AuthError::Unavailable { reason: http::NO_PERMIT.to_owned(), after: Some(wait) },
        Unsent::Failed(error) => passing(http::trouble(error)),
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = http::read_body(response, http::BODY_LIMIT).await.map_err(|error| passing(error.to_string()))?;
    tracing::debug!(platform = "x", call, status, "answered");
    Ok(Answer { status, headers, body })
}

/// What an answer of the token endpoint means.
pub(super) fn decide(answer: &Answer, asked: Asked) -> Result<Grant, AuthError> {
    if answer.status == 200
        && let Some(grant) = answer.json().as_ref().and_then(grant)
    {
        return Ok(grant);
    }
    Err(failure(answer, asked))
}

fn grant(body: &Value) -> Option<Grant> {
    let secret = |key| wire::text(body, key).filter(|token| !token.is_empty()).map(SecretString::from);
    let scopes = wire::text(body, "scope").unwrap_or_default();
    let lifetime = body.get("expires_in").and_then(|told| told.as_i64().or_else(|| told.as_str()?.parse().ok()));
    Some(Grant {
        access_token: secret("access_token")?,
        refresh_token: secret("refresh_token"),
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        expires_in: lifetime.filter(|secs| (1..1_000_000_000).contains(secs)).map(time::Duration::seconds),
    })
}

fn failure(answer: &Answer, asked: Asked) -> AuthError {
    let status = answer.status;
    let after = http::retry_after(&answer.headers);
    let passing = |after| AuthError::Unavailable { reason: format!("the token endpoint answered {status}"), after };
    let body = answer.json().or_else(|| serde_json::from_slice(&answer.body).ok()).filter(Value::is_object);
    let word = |key| body.as_ref().and_then(|body| wire::text(body, key)).map(|word| wire::shortened(word, 200));
    let (error, words) = (word("error"), word("error_description").or_else(|| word("detail")).unwrap_or_default());
    let said = match &error {
        Some(error) if words.is_empty() => error.clone(),
        Some(error) => format!("{error}: {words}"),
        None => words.clone(),
    };
    let dead = || match asked {
        Asked::Code => {
            AuthError::GrantDead(format!("the consent was used already or is older than 30 seconds ({said})"))
        }
        Asked::Refresh | Asked::Revoke => AuthError::GrantDead(format!(
            "X does not renew the access any more: it was withdrawn there, or the answer to the last renewal was lost ({said})"
        )),
    };
    match (status, error.as_deref()) {
        (429, _) => passing(Some(after.unwrap_or(DEFAULT_WAIT))),
        // The words tell a bad app from a bad token: X says `invalid_request` for both.
        (400, Some("invalid_request")) if words.starts_with("Value passed for the ") => {
            if words.contains("token") || words.contains("code") { dead() } else { AuthError::AppRefused(said) }
        }
        (400, Some("invalid_grant" | "access_denied")) => dead(),
        (401, _) | (400 | 403, Some("invalid_client" | "unauthorized_client")) => AuthError::AppRefused(said),
        // An app that is refused stops every account of it: words that nobody knows stay with the one that was asked about.
        (400 | 403, Some(_)) => match asked {
            Asked::Code => AuthError::AppRefused(said),
            Asked::Refresh | Asked::Revoke => dead(),
        },
        _ => passing(after),
    }
}
