//! Where the link of an invitation leads: who is signed in joins with one click, who has an account signs in first, who has none
//! makes one here.
//!
//! The link is opened once with its token, which goes into a cookie that no script reads, and the browser is sent on to an address
//! without it: it stands in no history and goes along to nobody as the page that one came from.

use super::asked::see_other;
use super::samples;
use super::signin::{NoFields, signed_in};
use super::team::into_team;
use crate::accounts::invitations::{self, AcceptError, Account, Preview};
use crate::accounts::passwords::MIN_CHARS;
use crate::accounts::users;
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Caller, PageCaller, SignInFirst};
use crate::http::cookies;
use crate::http::csrf::{CsrfForm, PreSession, PreSessionForm};
use crate::http::limits::{self, ClientAddress};
use crate::model::Role;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, Template)]
#[template(path = "invite.html")]
pub struct InvitePage {
    pub csrf: String,
    pub now: OffsetDateTime,
    /// None: the link does not work, and `refused` says why.
    pub offer: Option<Preview>,
    pub signed_in: Option<SignedIn>,
    pub form: AccountForm,
    /// Whether an account with a password can be made here.
    pub passwords: bool,
    /// Why the last try came to nothing.
    pub refused: Option<String>,
}

#[derive(Debug, Clone)]
pub struct SignedIn {
    pub name: String,
    pub email: Option<String>,
}

/// The fields as they were typed, but for the password.
#[derive(Debug, Clone, Default)]
pub struct AccountForm {
    pub email: String,
    pub name: String,
    pub errors: AccountErrors,
}

/// What is wrong with each field, as a sentence.
#[derive(Debug, Clone, Default)]
pub struct AccountErrors {
    pub email: Option<String>,
    pub name: Option<String>,
    pub password: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct LinkQuery {
    token: Option<SecretString>,
}

#[derive(Deserialize)]
pub struct SentAccount {
    email: String,
    name: String,
    password: SecretString,
}

pub async fn show(
    State(app): State<App>,
    session: PreSession,
    caller: Result<PageCaller, SignInFirst>,
    headers: HeaderMap,
    Query(query): Query<LinkQuery>,
) -> Result<Response, Problem> {
    if let Some(token) = query.token {
        return Ok(opened(&app, &token));
    }
    let token = token_of(&app, &headers);
    let mut page = InvitePage::of(&app, caller.ok().map(|PageCaller(caller)| caller), session.csrf).await?;
    let status = page.look(&app, &token).await?;
    let mut answer = super::page(status, &page);
    if let Some(cookie) = session.set_cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// On to the page without the token in its address.
fn opened(app: &App, token: &SecretString) -> Response {
    let mut answer = see_other("/invite");
    let public_url = &app.config.public_url;
    let cookie = cookies::set_invitation(token, public_url).unwrap_or_else(|| cookies::clear_invitation(public_url));
    let headers = answer.headers_mut();
    headers.append(header::SET_COOKIE, cookie);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

fn token_of(app: &App, headers: &HeaderMap) -> SecretString {
    cookies::invitation(headers, &app.config.public_url).unwrap_or_else(|| SecretString::from(""))
}

pub async fn join(
    State(app): State<App>,
    address: ClientAddress,
    PageCaller(caller): PageCaller,
    headers: HeaderMap,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let (moment, token) = (app.moment(), token_of(&app, &headers));
    let counted =
        limits::count_acceptance(&mut *app.db.acquire().await?, address, token.expose_secret(), moment.now).await;
    let mut tx = app.db.begin().await?;
    let refused = match counted {
        Ok(()) => match invitations::accept(&mut tx, &moment, token.expose_secret(), caller.user_id).await {
            Ok(joined) => {
                tx.commit().await?;
                let mut answer = into_team(&app, joined.team_id);
                let spent = cookies::clear_invitation(&app.config.public_url);
                answer.headers_mut().append(header::SET_COOKIE, spent);
                return Ok(answer);
            }
            Err(error) => error.into(),
        },
        Err(problem) => problem,
    };
    drop(tx);
    let page = InvitePage::of(&app, Some(caller), String::new()).await?;
    page.refuse(&app, &token, refused).await
}

pub async fn make_account(
    State(app): State<App>,
    address: ClientAddress,
    session: PreSession,
    headers: HeaderMap,
    PreSessionForm(sent): PreSessionForm<SentAccount>,
) -> Result<Response, Problem> {
    let (moment, token) = (app.moment(), token_of(&app, &headers));
    let mut page = InvitePage::of(&app, None, session.csrf).await?;
    if !page.passwords {
        let told = "People sign in to this server through Clerk. Sign in there; then this page lets you join the team.";
        return page.refuse(&app, &token, Problem::forbidden(told)).await;
    }
    page.form = AccountForm { email: sent.email.clone(), name: sent.name.clone(), errors: AccountErrors::default() };
    let counted =
        limits::count_acceptance(&mut *app.db.acquire().await?, address, token.expose_secret(), moment.now).await;
    if let Err(problem) = counted {
        return page.refuse(&app, &token, problem).await;
    }
    let account = Account { email: sent.email, name: sent.name, password: sent.password };
    match invitations::accept_as_new(&app.db, &app.passwords, &moment, token.expose_secret(), account).await {
        Ok((joined, session)) => {
            let mut answer = signed_in(&app, &session, "/dashboard/inbox");
            let public_url = &app.config.public_url;
            answer.headers_mut().append(header::SET_COOKIE, cookies::set_team(joined.team_id, public_url));
            answer.headers_mut().append(header::SET_COOKIE, cookies::clear_invitation(public_url));
            Ok(answer)
        }
        Err(error) => {
            let field = match &error {
                AcceptError::Email(reason) => Some((&mut page.form.errors.email, reason.to_string())),
                AcceptError::Name(reason) => Some((&mut page.form.errors.name, reason.to_string())),
                AcceptError::Password(reason) => Some((&mut page.form.errors.password, reason.to_string())),
                _ => None,
            };
            if let Some((place, reason)) = field {
                *place = Some(reason);
                page.look(&app, &token).await?;
                return Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
            }
            page.refuse(&app, &token, error.into()).await
        }
    }
}

impl InvitePage {
    async fn of(app: &App, caller: Option<Caller>, csrf: String) -> Result<Self, sqlx::Error> {
        let mut page = Self {
            csrf,
            now: app.clock.now(),
            offer: None,
            signed_in: None,
            form: AccountForm::default(),
            passwords: app.takes_passwords(),
            refused: None,
        };
        if let Some(caller) = caller {
            let user = users::by_id(&mut *app.db.acquire().await?, caller.user_id).await?;
            page.signed_in = Some(SignedIn { name: caller.name, email: user.and_then(|user| user.email) });
            page.csrf = caller.csrf;
        }
        Ok(page)
    }

    /// Fills in what the link offers, or why it offers nothing.
    async fn look(&mut self, app: &App, token: &SecretString) -> Result<StatusCode, Problem> {
        let mut conn = app.db.acquire().await?;
        if token.expose_secret().is_empty() {
            self.refused =
                Some("Open the link of your invitation again, in this browser and with cookies allowed.".to_owned());
            return Ok(StatusCode::NOT_FOUND);
        }
        match invitations::preview(&mut conn, token.expose_secret(), self.now).await {
            Ok(offer) => {
                self.offer = Some(offer);
                Ok(StatusCode::OK)
            }
            Err(AcceptError::Database(error)) => Err(error.into()),
            Err(error) => {
                self.refused = Some(error.to_string());
                Ok(Problem::from(error).status_code())
            }
        }
    }

    /// The page again with the reason; what is no fault of the person's goes to the error page.
    async fn refuse(mut self, app: &App, token: &SecretString, problem: Problem) -> Result<Response, Problem> {
        if problem.status >= 500 {
            return Err(problem);
        }
        self.look(app, token).await?;
        self.refused = Some(problem.detail.clone());
        Ok(super::page(problem.status_code(), &self))
    }

    pub fn min_password_chars(&self) -> usize {
        MIN_CHARS
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let offer = Preview {
            team_name: "Acme Coffee".to_owned(),
            role: Role::Editor,
            invited_by_name: "Ada Lovelace".to_owned(),
            expires_at: samples::NOW + Duration::days(6),
        };
        let new = Self {
            csrf: "sample-token".to_owned(),
            now: samples::NOW,
            offer: Some(offer.clone()),
            signed_in: None,
            form: AccountForm::default(),
            passwords: true,
            refused: None,
        };
        let by_clerk = Self { passwords: false, ..new.clone() };
        let person = SignedIn { name: "Grace Hopper".to_owned(), email: Some("grace@acme.example".to_owned()) };
        let known = Self { signed_in: Some(person), ..new.clone() };
        let other = Self { refused: Some(AcceptError::OtherAddress.to_string()), ..known.clone() };
        let wrong = Self {
            form: AccountForm {
                email: "grace@acme".to_owned(),
                name: samples::HOSTILE.to_owned(),
                errors: AccountErrors {
                    password: Some("Use at least 10 characters.".to_owned()),
                    ..AccountErrors::default()
                },
            },
            offer: Some(Preview { team_name: samples::HOSTILE.to_owned(), ..offer }),
            ..new.clone()
        };
        let late = Self { offer: None, refused: Some(AcceptError::Late.to_string()), ..new.clone() };
        vec![
            ("new", new),
            ("by-clerk", by_clerk),
            ("known", known),
            ("other-address", other),
            ("wrong", wrong),
            ("late", late),
        ]
    }
}
