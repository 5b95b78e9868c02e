//! The page of one's own account: password, second step of signing in, sessions. What is refused comes back beside its field; a secret
//! and the recovery codes are drawn in the answer to the form that made them and at no other address.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::person::Person;
use super::qr::{self, Picture};
use super::samples;
use super::signin::NoFields;
use crate::accounts::passwords::MIN_CHARS;
use crate::accounts::second_factor::{self, Enrolment};
use crate::accounts::sessions::{self, SessionRow};
use crate::accounts::users;
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{PageMember, SignedInPerson, Viewer};
use crate::http::csrf::CsrfForm;
use crate::http::own_account;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    pub frame: Frame,
    pub email: Option<String>,
    /// False for somebody whom another service signs in: then there is nothing to change.
    pub has_password: bool,
    /// What the last action came to.
    pub done: Option<String>,
    pub refused: Option<Refused>,
    pub factor: Factor,
    pub sessions: Vec<SessionLine>,
}

/// What was not taken, and where to say so.
#[derive(Debug, Clone)]
pub struct Refused {
    pub form: Form,
    /// None: it is about no single field.
    pub field: Option<String>,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Password,
    Factor,
}

/// How the second step stands.
#[derive(Debug, Clone)]
pub enum Factor {
    Off,
    /// The app has the secret or will have it; the first code is still to come.
    Begun {
        secret: String,
        picture: Picture,
    },
    /// The one moment in which the recovery codes are known.
    JustOn {
        codes: Vec<String>,
    },
    On {
        since: OffsetDateTime,
        codes_left: i64,
    },
}

#[derive(Debug, Clone)]
pub struct SessionLine {
    pub id: Uuid,
    pub device: String,
    pub since: OffsetDateTime,
    pub seen: OffsetDateTime,
    pub current: bool,
}

#[derive(Debug, Deserialize)]
pub struct AccountQuery {
    done: Option<String>,
}

#[derive(Deserialize)]
pub struct PasswordForm {
    current_password: SecretString,
    new_password: SecretString,
}

#[derive(Deserialize)]
pub struct BeginForm {
    password: SecretString,
}

#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
}

#[derive(Deserialize)]
pub struct EndForm {
    password: SecretString,
    code: String,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<AccountQuery>,
) -> Result<Response, Problem> {
    let page = AccountPage::load(&app, member).await?;
    let done = query.done.as_deref().and_then(done_words).map(str::to_owned);
    Ok(super::page(StatusCode::OK, &AccountPage { done, ..page }))
}

fn done_words(done: &str) -> Option<&'static str> {
    Some(match done {
        "password" => "Your password is changed. All other sessions were signed out.",
        "totp-off" => "Signing in asks for no code any more.",
        "session" => "That session is signed out.",
        "sessions" => "All other sessions are signed out.",
        _ => return None,
    })
}

pub async fn change_password(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(form): CsrfForm<PasswordForm>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    match own_account::change_password(&app, person, form.current_password, form.new_password).await {
        Ok(_) => Ok(see_other("/dashboard/account?done=password")),
        Err(problem) => AccountPage::load(&app, member).await?.refuse(Form::Password, problem),
    }
}

pub async fn begin_totp(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(form): CsrfForm<BeginForm>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    let begun = own_account::begin_totp(&app, person, form.password).await;
    let page = AccountPage::load(&app, member).await?;
    match begun {
        Ok(begun) => Ok(super::page(StatusCode::OK, &AccountPage { factor: Factor::begun(&begun), ..page })),
        Err(problem) => page.refuse(Form::Factor, problem),
    }
}

pub async fn confirm_totp(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(form): CsrfForm<CodeForm>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    let confirmed = own_account::confirm_totp(&app, person, &form.code).await;
    let page = AccountPage::load(&app, member).await?;
    match confirmed {
        Ok(codes) => {
            let codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
            Ok(super::page(StatusCode::OK, &AccountPage { factor: Factor::JustOn { codes }, ..page }))
        }
        Err(problem) => {
            let begun = own_account::pending_totp(&app, person).await?;
            let factor = begun.as_ref().map_or(page.factor.clone(), Factor::begun);
            AccountPage { factor, ..page }.refuse(Form::Factor, problem)
        }
    }
}

pub async fn end_totp(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(form): CsrfForm<EndForm>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    match own_account::end_totp(&app, person, form.password, &form.code).await {
        Ok(()) => Ok(see_other("/dashboard/account?done=totp-off")),
        Err(problem) => AccountPage::load(&app, member).await?.refuse(Form::Factor, problem),
    }
}

pub async fn end_session(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Path(id): Path<String>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    let mut tx = app.db.begin().await?;
    if let Ok(id) = Uuid::parse_str(&id) {
        // Gone already: what was wanted.
        sessions::end(&mut tx, &app.moment(), person.user_id, id).await?;
    }
    tx.commit().await?;
    Ok(see_other("/dashboard/account?done=session"))
}

pub async fn end_others(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let person = SignedInPerson::of(&member.caller)?;
    let mut tx = app.db.begin().await?;
    sessions::end_others(&mut tx, &app.moment(), person.user_id, person.session_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/account?done=sessions"))
}

impl AccountPage {
    async fn load(app: &App, member: PageMember<Viewer>) -> Result<Self, Problem> {
        let signed_in = SignedInPerson::of(&member.caller)?;
        let person = Person::of(app, member);
        let mut conn = app.db.acquire().await?;
        let door = users::door(&mut conn, person.user_id).await?.ok_or_else(|| Problem::not_found("account"))?;
        let status = second_factor::status(&mut conn, person.user_id).await?;
        let rows = sessions::live(&mut conn, person.user_id, person.now).await?;
        Ok(Self {
            frame: person.frame(&mut conn).await?,
            email: door.email,
            has_password: door.password_hash.is_some(),
            done: None,
            refused: None,
            factor: match status.on_since {
                Some(since) => Factor::On { since, codes_left: status.recovery_codes_left },
                None => Factor::Off,
            },
            sessions: rows.into_iter().map(|row| SessionLine::of(row, signed_in.session_id)).collect(),
        })
    }

    /// The page with the reason in its place; what is no fault of the person goes to the error page.
    fn refuse(mut self, form: Form, problem: Problem) -> Result<Response, Problem> {
        if problem.status >= 500 {
            return Err(problem);
        }
        let (field, why) = match problem.errors.first() {
            Some(error) => (Some(error.field.clone()), error.message.clone()),
            None => (None, problem.detail.clone()),
        };
        self.refused = Some(Refused { form, field, why });
        let mut answer = super::page(problem.status_code(), &self);
        if let Some(secs) = problem.retry_after_secs {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        Ok(answer)
    }

    /// Why this field of this form was refused.
    pub fn wrong(&self, form: Form, field: &str) -> Option<&str> {
        let refused = self.refused.as_ref().filter(|refused| refused.form == form)?;
        (refused.field.as_deref() == Some(field)).then_some(refused.why.as_str())
    }

    /// Why the form was refused as a whole.
    pub fn wrong_form(&self, form: Form) -> Option<&str> {
        let refused = self.refused.as_ref().filter(|refused| refused.form == form)?;
        refused.field.is_none().then_some(refused.why.as_str())
    }

    pub fn min_password_chars(&self) -> usize {
        MIN_CHARS
    }

    pub fn section(&self) -> Section {
        Section::Account
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::account::pages()
    }
}

impl Factor {
    fn begun(begun: &Enrolment) -> Self {
        let letters: Vec<char> = begun.secret.expose_secret().chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Self::Begun { secret: groups.join(" "), picture: qr::picture(begun.address.expose_secret()) }
    }
}

impl SessionLine {
    fn of(row: SessionRow, current: Uuid) -> Self {
        Self {
            id: row.id,
            device: row.device.unwrap_or_else(|| "an unknown program".to_owned()),
            since: row.created_at,
            seen: row.last_seen_at,
            current: row.id == current,
        }
    }
}
