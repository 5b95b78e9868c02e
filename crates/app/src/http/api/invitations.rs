//! Invitations: made and taken back by admins, looked at and accepted by whoever holds the link. The token of a link comes in
//! bodies only, so that it stands in no log of addresses.

use crate::accounts::invitations::{self, AcceptError, Invitation, InviteError, Issued, Joined, Preview};
use crate::accounts::mails::PostError;
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, Caller, InPerson, TeamMember};
use crate::http::body::{JsonBody, Nothing, Path};
use crate::http::limits::{self, ClientAddress};
use crate::model::Role;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationAnswer {
    pub id: Uuid,
    #[schema(example = "ada@example.com")]
    pub email: String,
    pub role: Role,
    pub invited_by: Uuid,
    #[schema(example = "Ana Lima")]
    pub invited_by_name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Past it the link does not work; renew it.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationsAnswer {
    pub items: Vec<InvitationAnswer>,
}

/// An invitation with its link, which is shown this once.
#[derive(Serialize, ToSchema)]
pub struct IssuedAnswer {
    #[serde(flatten)]
    pub invitation: InvitationAnswer,
    /// For the invited person alone; it is stored nowhere.
    #[schema(example = "https://replies.example.com/invite?token=...")]
    pub link: String,
    /// Whether it was mailed to the person. If not, hand it over yourself.
    pub mailed: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteBody {
    #[schema(example = "ada@example.com", max_length = 254)]
    email: String,
    role: Role,
}

/// The token at the end of the link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    #[schema(value_type = String, example = "q1Yw...")]
    token: SecretString,
}

/// What the holder of a link may know.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewAnswer {
    #[schema(example = "Moka & Co.")]
    pub team_name: String,
    pub role: Role,
    #[schema(example = "Ana Lima")]
    pub invited_by_name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JoinedAnswer {
    pub team_id: Uuid,
    #[schema(example = "Moka & Co.")]
    pub team_name: String,
    pub role: Role,
}

impl From<Invitation> for InvitationAnswer {
    fn from(row: Invitation) -> Self {
        let Invitation { id, email, role, invited_by, invited_by_name, created_at, expires_at, .. } = row;
        Self { id, email, role, invited_by, invited_by_name, created_at, expires_at }
    }
}

impl IssuedAnswer {
    fn of(app: &App, issued: Issued) -> Self {
        let link = invitations::link(&app.config.public_url, issued.token.expose_secret());
        Self { invitation: issued.invitation.into(), link: link.into(), mailed: issued.mailed }
    }
}

impl From<Preview> for PreviewAnswer {
    fn from(preview: Preview) -> Self {
        let Preview { team_name, role, invited_by_name, expires_at } = preview;
        Self { team_name, role, invited_by_name, expires_at }
    }
}

impl From<Joined> for JoinedAnswer {
    fn from(joined: Joined) -> Self {
        Self { team_id: joined.team_id, team_name: joined.team_name, role: joined.role }
    }
}

impl From<InviteError> for Problem {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Email(reason) => Self::field("email", reason.to_string()),
            InviteError::AlreadyMember => Self::conflict("already-member", error.to_string()),
            InviteError::Full => Self::conflict("full", error.to_string()),
            InviteError::NotFound => Self::not_found("invitation"),
            InviteError::Accepted => Self::conflict("accepted", error.to_string()),
            InviteError::ActorChanged => Self::conflict("role-changed", error.to_string()),
            InviteError::Mail(PostError::Seal(error)) => Self::internal(&error),
            InviteError::Mail(PostError::Database(error)) | InviteError::Database(error) => error.into(),
        }
    }
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        let told = error.to_string();
        let gone = |code| Self::new(StatusCode::GONE, code, "This invitation does not work", told.clone());
        match error {
            AcceptError::Unknown => {
                Self::new(StatusCode::NOT_FOUND, "unknown-invitation", "This invitation does not work", told)
            }
            AcceptError::Used => gone("invitation-used"),
            AcceptError::Withdrawn => gone("invitation-withdrawn"),
            AcceptError::Late => gone("invitation-expired"),
            AcceptError::OtherAddress => Self::new(StatusCode::FORBIDDEN, "other-address", "Not allowed", told),
            AcceptError::Unverified => Self::new(StatusCode::FORBIDDEN, "address-unverified", "Not allowed", told),
            AcceptError::AlreadyMember => Self::conflict("already-member", told),
            AcceptError::HasAccount => Self::conflict("has-account", told),
            AcceptError::Email(reason) => Self::field("email", reason.to_string()),
            AcceptError::Name(reason) => Self::field("name", reason.to_string()),
            AcceptError::Password(reason) => Self::field("password", reason.to_string()),
            AcceptError::Busy => Self::unavailable("Too many people sign in at once."),
            AcceptError::Database(error) => error.into(),
        }
    }
}

/// The open invitations of a team, by address
///
/// At most 100. Those past their time too, until they are renewed or withdrawn; after a month they go by themselves.
#[utoipa::path(get, path = "/api/teams/{team_id}/invitations",
    responses((status = 200, description = "All open ones, without their links.", body = InvitationsAnswer)))]
pub async fn list_invitations(State(app): State<App>, member: TeamMember<Admin>) -> ApiResult<Json<InvitationsAnswer>> {
    let rows = invitations::open(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok(Json(InvitationsAnswer { items: rows.into_iter().map(InvitationAnswer::from).collect() }))
}

/// Invite an address into a team
///
/// The link is in this answer and, where the server sends mail, on its way to the address; it works once, for 7 days, and only for an account with this address. An open
/// invitation to the same address is replaced: its link stops working.
#[utoipa::path(post, path = "/api/teams/{team_id}/invitations", request_body = InviteBody,
    responses((status = 201, description = "The invitation with its link.", body = IssuedAnswer)))]
pub async fn create_invitation(
    State(app): State<App>,
    member: TeamMember<Admin>,
    _: InPerson,
    JsonBody(body): JsonBody<InviteBody>,
) -> ApiResult<(StatusCode, Json<IssuedAnswer>)> {
    let (moment, by) = (app.moment(), member.caller.user_id);
    limits::count_invitation(&mut *app.db.acquire().await?, member.team_id, by, moment.now).await?;
    let mut tx = app.db.begin().await?;
    let issued = invitations::create(&app, &mut tx, &moment, member.team_id, by, &body.email, body.role).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(IssuedAnswer::of(&app, issued))))
}

/// Withdraw an invitation
#[utoipa::path(delete, path = "/api/teams/{team_id}/invitations/{id}",
    responses((status = 204, description = "Its link does not work any more.")))]
pub async fn withdraw_invitation(
    State(app): State<App>,
    member: TeamMember<Admin>,
    _: InPerson,
    Path((team_id, id)): Path<(Uuid, Uuid)>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    invitations::withdraw(&mut tx, &app.moment(), team_id, member.caller.user_id, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renew an invitation
///
/// A new link for 7 more days; the one before stops working.
#[utoipa::path(post, path = "/api/teams/{team_id}/invitations/{id}/renew",
    responses((status = 200, description = "The invitation with its new link.", body = IssuedAnswer)))]
pub async fn renew_invitation(
    State(app): State<App>,
    member: TeamMember<Admin>,
    _: InPerson,
    Path((team_id, id)): Path<(Uuid, Uuid)>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<IssuedAnswer>> {
    let (moment, by) = (app.moment(), member.caller.user_id);
    limits::count_invitation(&mut *app.db.acquire().await?, team_id, by, moment.now).await?;
    let mut tx = app.db.begin().await?;
    let issued = invitations::renew(&app, &mut tx, &moment, team_id, by, id).await?;
    tx.commit().await?;
    Ok(Json(IssuedAnswer::of(&app, issued)))
}

/// Look at an invitation
///
/// For whoever holds the link, signed in or not. 410: used, withdrawn or past its time.
#[utoipa::path(post, path = "/api/invitations/preview", request_body = TokenBody, security(()),
    responses((status = 200, description = "What it offers.", body = PreviewAnswer)))]
pub async fn preview_invitation(
    State(app): State<App>,
    JsonBody(body): JsonBody<TokenBody>,
) -> ApiResult<Json<PreviewAnswer>> {
    let mut conn = app.db.acquire().await?;
    Ok(Json(invitations::preview(&mut conn, body.token.expose_secret(), app.clock.now()).await?.into()))
}

/// Accept an invitation
///
/// For the signed-in person whose address it names, once. Another address: 403 `other-address`; one that
/// nobody has checked, as after an open sign-up: 403 `address-unverified`. 410: used, withdrawn or past its
/// time.
#[utoipa::path(post, path = "/api/invitations/accept", request_body = TokenBody,
    responses((status = 200, description = "A member now.", body = JoinedAnswer)))]
pub async fn accept_invitation(
    State(app): State<App>,
    address: ClientAddress,
    caller: Caller,
    _: InPerson,
    JsonBody(body): JsonBody<TokenBody>,
) -> ApiResult<Json<JoinedAnswer>> {
    let (moment, token) = (app.moment(), body.token.expose_secret());
    limits::count_acceptance(&mut *app.db.acquire().await?, address, token, moment.now).await?;
    let mut tx = app.db.begin().await?;
    let joined = invitations::accept(&mut tx, &moment, token, caller.user_id).await?;
    tx.commit().await?;
    Ok(Json(joined.into()))
}
