//! Password and second factor of the caller. Only with a session of the dashboard; a token gets 403. What is answered here is shown
//! once and kept nowhere, so these routes take no `Idempotency-Key`.

use super::own_sessions::EndedAnswer;
use crate::accounts::second_factor;
use crate::app::App;
use crate::error::ApiResult;
use crate::http::auth::SignedInPerson;
use crate::http::body::JsonBody;
use crate::http::own_account;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    #[serde(alias = "currentPassword")]
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    current_password: SecretString,
    /// 10 to 200 characters.
    #[serde(alias = "newPassword")]
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 200, example = "staple battery horse")]
    new_password: SecretString,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpBeginBody {
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: SecretString,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpConfirmBody {
    /// What the app shows.
    #[schema(example = "287082")]
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpEndBody {
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: SecretString,
    /// Of the app, or a recovery code.
    #[schema(example = "287082")]
    code: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TotpStatusAnswer {
    /// Whether signing in asks for a code.
    pub on: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub on_since: Option<OffsetDateTime>,
    #[schema(example = 10)]
    pub recovery_codes_left: i64,
}

#[derive(Serialize, ToSchema)]
pub struct TotpBeginAnswer {
    /// Base32, to be typed into an authenticator app.
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    pub secret: String,
    /// The same for a QR code.
    #[schema(example = "otpauth://totp/Rejoinder:ada@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Rejoinder")]
    pub otpauth_uri: String,
}

#[derive(Serialize, ToSchema)]
pub struct TotpConfirmAnswer {
    /// Each opens the account once when the app is lost. Shown here and never again.
    #[schema(example = json!(["JBSW-Y3DP-EHPK-3PXP"]))]
    pub recovery_codes: Vec<String>,
}

/// Change the caller's password
///
/// Needs the current one. All other sessions end. After a few wrong tries 429.
#[utoipa::path(post, path = "/api/me/password", request_body = PasswordBody,
    responses((status = 200, description = "Changed.", body = EndedAnswer)))]
pub async fn change_password(
    State(app): State<App>,
    person: SignedInPerson,
    JsonBody(body): JsonBody<PasswordBody>,
) -> ApiResult<Json<EndedAnswer>> {
    let ended = own_account::change_password(&app, person, body.current_password, body.new_password).await?;
    Ok(Json(EndedAnswer { ended }))
}

/// How the caller's second factor stands
#[utoipa::path(get, path = "/api/me/totp",
    responses((status = 200, description = "As it stands.", body = TotpStatusAnswer)))]
pub async fn totp_status(State(app): State<App>, person: SignedInPerson) -> ApiResult<Json<TotpStatusAnswer>> {
    let status = second_factor::status(&mut *app.db.acquire().await?, person.user_id).await?;
    let second_factor::Status { on_since, recovery_codes_left } = status;
    Ok(Json(TotpStatusAnswer { on: on_since.is_some(), on_since, recovery_codes_left }))
}

/// Begin to set up an authenticator app
///
/// Nothing is asked for at sign-in until the first code was confirmed. Beginning again makes a new secret.
#[utoipa::path(post, path = "/api/me/totp", request_body = TotpBeginBody,
    responses((status = 200, description = "What the app needs.", body = TotpBeginAnswer)))]
pub async fn begin_totp(
    State(app): State<App>,
    person: SignedInPerson,
    JsonBody(body): JsonBody<TotpBeginBody>,
) -> ApiResult<Json<TotpBeginAnswer>> {
    let begun = own_account::begin_totp(&app, person, body.password).await?;
    let (secret, address) = (begun.secret.expose_secret(), begun.address.expose_secret());
    Ok(Json(TotpBeginAnswer { secret: secret.to_owned(), otpauth_uri: address.to_owned() }))
}

/// Turn the second factor on, with a first code of the app
#[utoipa::path(post, path = "/api/me/totp/confirm", request_body = TotpConfirmBody,
    responses((status = 200, description = "It is on.", body = TotpConfirmAnswer)))]
pub async fn confirm_totp(
    State(app): State<App>,
    person: SignedInPerson,
    JsonBody(body): JsonBody<TotpConfirmBody>,
) -> ApiResult<Json<TotpConfirmAnswer>> {
    let codes = own_account::confirm_totp(&app, person, &body.code).await?;
    let recovery_codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
    Ok(Json(TotpConfirmAnswer { recovery_codes }))
}

/// Turn the second factor off
///
/// Needs the password and a code.
#[utoipa::path(post, path = "/api/me/totp/disable", request_body = TotpEndBody,
    responses((status = 204, description = "It is off.")))]
pub async fn end_totp(
    State(app): State<App>,
    person: SignedInPerson,
    JsonBody(body): JsonBody<TotpEndBody>,
) -> ApiResult<StatusCode> {
    own_account::end_totp(&app, person, body.password, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}
