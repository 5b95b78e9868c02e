//! OAuth2 with Reddit. The status of an answer does not tell: most refusals of the token endpoint come with a 200, and
//! `error` is a word in some and a number in others. Only an access token makes a success.
//! Sources: the OAuth2 page of Reddit's own (archived) wiki and server code.

use super::{Api, CAPABILITIES, wire};
use crate::error::AuthError;
use crate::http::{self, Answer, Unsent, address};
use crate::permits::{AppCredentials, Host, Through};
use crate::types::{AuthorizeRequest, Grant};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;
use url::Url;

const DEFAULT_WAIT: Duration = Duration::from_secs(60);

pub(super) fn authorize_url(api: &Api, through: &Through, request: &AuthorizeRequest) -> Url {
    let scopes: Vec<&str> = CAPABILITIES.scopes.iter().map(|scope| scope.name).collect();
    let mut url = address(&api.config.auth_base, &["api", "v1", "authorize"]);
    url.query_pairs_mut()
        .append_pair("client_id", client(api, through).map_or("", |app| &app.client_id))
        .append_pair("response_type", "code")
        .append_pair("state", &request.state)
        .append_pair("redirect_uri", request.redirect_uri.as_str())
        .append_pair("duration", "permanent")
        .append_pair("scope", &scopes.join(" "));
    url
}

/// The credentials that a call about tokens signs with.
fn client<'a>(api: &'a Api, through: &'a Through) -> Option<&'a AppCredentials> {
    through.app.as_ref().or(api.config.app.as_ref())
}

pub(super) async fn exchange_code(
    api: &Api,
    through: &Through,
    code: &str,
    redirect_uri: &Url,
) -> Result<Grant, AuthError> {
    // Some browsers hand over the fragment that Reddit hangs on the redirect.
    let code = code.trim_end_matches("#_");
    let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri.as_str())];
    token(api, through, &form).await
}

pub(super) async fn refresh(api: &Api, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError> {
    token(api, through, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())]).await
}

/// A refresh token takes its access tokens with it. Reddit answers a success also for a token that it does not know.
pub(super) async fn revoke(api: &Api, through: &Through, grant: &Grant) -> Result<(), AuthError> {
    let (token, hint) = match &grant.refresh_token {
        Some(token) => (token, "refresh_token"),
        None => (&grant.access_token, "access_token"),
    };
    let form = [("token", token.expose_secret()), ("token_type_hint", hint)];
    let answer = ask(api, through, "revoke_token", &form).await?;
    match answer.status {
        200..300 => Ok(()),
        _ => Err(failure(&answer, answer.json().as_ref())),
    }
}

async fn token(api: &Api, through: &Through, form: &[(&str, &str)]) -> Result<Grant, AuthError> {
    decide(&ask(api, through, "access_token", form).await?)
}

async fn ask(api: &Api, through: &Through, call: &'static str, form: &[(&str, &str)]) -> Result<Answer, AuthError> {
    let app = client(api, through);
    let app =
        app.ok_or_else(|| AuthError::AppRefused("this server has no app of its own there any more".to_owned()))?;
    let url = address(&api.config.auth_base, &["api", "v1", call]);
    let request = api
        .read
        .post(url)
        .basic_auth(&app.client_id, Some(app.client_secret.expose_secret()))
        .header(reqwest::header::USER_AGENT, &api.config.user_agent)
        .form(form);
    let passing = |reason: String| AuthError::Unavailable { reason, after: None };
    let response = http::send(request, &through.permits, Host::Token).await.map_err(|unsent| match unsent {
        Unsent::NoPermit(wait) => AuthError::Unavailable { reason: http::NO_PERMIT.to_owned(), after: Some(wait) },
        Unsent::Failed(error) => passing(http::trouble(error)),
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = http::read_body(response, http::BODY_LIMIT).await.map_err(|error| passing(error.to_string()))?;
    tracing::debug!(platform = "reddit", call, status, "answered");
    Ok(Answer { status, headers, body })
}

/// What an answer of the token endpoint means.
pub(super) fn decide(answer: &Answer) -> Result<Grant, AuthError> {
    let body = answer.json();
    if answer.status == 200
        && let Some(grant) = body.as_ref().and_then(grant)
    {
        return Ok(grant);
    }
    Err(failure(answer, body.as_ref()))
}

fn grant(body: &Value) -> Option<Grant> {
    let secret = |key| wire::text(body, key).filter(|token| !token.is_empty()).map(SecretString::from);
    let scopes = wire::text(body, "scope").unwrap_or_default();
    Some(Grant {
        access_token: secret("access_token")?,
        refresh_token: secret("refresh_token"),
        scopes: scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        expires_in: wire::number(body, "expires_in")
            .filter(|n| (1.0..1e9).contains(n))
            .map(time::Duration::seconds_f64),
    })
}

fn failure(answer: &Answer, body: Option<&Value>) -> AuthError {
    let status = answer.status;
    let after = http::retry_after(&answer.headers);
    let passing = |after| AuthError::Unavailable { reason: format!("the token endpoint answered {status}"), after };
    if status == 429 {
        return passing(Some(after.unwrap_or(DEFAULT_WAIT)));
    }
    if let Some(word) = body.and_then(|body| wire::text(body, "error")) {
        let (_, words) = wire::refusal(body);
        let said =
            words.map_or_else(|| wire::shortened(word, 80), |words| format!("{}: {words}", wire::shortened(word, 80)));
        return match word {
            "invalid_grant" | "access_denied" => AuthError::GrantDead(said),
            "unauthorized_client"
            | "invalid_client"
            | "invalid_request"
            | "unsupported_grant_type"
            | "invalid_scope" => AuthError::AppRefused(said),
            _ => AuthError::Unavailable { reason: said, after },
        };
    }
    match (status, body.is_some()) {
        // A page of the edge (no JSON) says nothing about the grant.
        (400, true) => AuthError::GrantDead("400, the token is not accepted".to_owned()),
        (401, _) => AuthError::AppRefused("401, client id or secret are not accepted".to_owned()),
        (403, true) => AuthError::AppRefused("403, the app may not ask for tokens".to_owned()),
        _ => passing(after),
    }
}
