//! What a person does in the draft pane: ask for a draft, approve, reject, undo, send. Editors only.
//!
//! What always holds: the words that a person typed come back whatever the answer is; a lost race answers 409 with who was
//! quicker and the pane as it stands now. With htmx the answer is the pane, without scripts a page or a redirect.

use super::asked::Asked;
use super::inbox::{InboxPage, InboxQuery};
use super::inbox_draft::{DraftPane, Mishap, Revision};
use super::person::Person;
use super::uncertain::{self, UncertainPage, UncertainQuery};
use crate::app::App;
use crate::error::Problem;
use crate::flow::approve::{self, Approve};
use crate::flow::ingest::inbox;
use crate::flow::send::{self, ResolveError, Seen, Wanted};
use crate::flow::suggest::{self, Request, RequestError};
use crate::flow::suggestion::{self, ChangeError, Suggestion};
use crate::http::auth::{Editor, ItemRef, Loaded, PageMember, SuggestionRef, Viewer};
use crate::http::csrf::CsrfForm;
use crate::model::{ItemState, Mode, Status};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rejoinder_platforms::LengthRule;
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// The fields of the draft's form; each button sends all of them.
#[derive(Debug, Default, Deserialize)]
pub struct DraftForm {
    text: Option<String>,
    version: Option<i32>,
    intent_id: Option<String>,
    /// What a person saw on the platform: "found" with its address, or "absent".
    seen: Option<String>,
    permalink: Option<String>,
    /// "yes": the reasons that hold an edit of a posted reply were in view.
    held_seen: Option<String>,
    /// "uncertain": the form stands on the page of unknown outcomes and leads back there.
    from: Option<String>,
}

/// One action of one person on one suggestion.
struct Acting {
    person: Person,
    asked: Asked,
    suggestion: Suggestion,
    form: DraftForm,
}

impl Acting {
    async fn on(
        app: &App,
        member: PageMember<Viewer>,
        loaded: &Loaded<SuggestionRef, Editor>,
        asked: Asked,
        form: DraftForm,
    ) -> Result<Self, Problem> {
        let person = Person { team_id: loaded.team_id, role: loaded.role, ..Person::of(app, member) };
        let found = suggestion::load(&mut *app.db.acquire().await?, person.team_id, loaded.id).await?;
        let suggestion = found.ok_or_else(|| Problem::not_found("suggestion"))?;
        Ok(Self { person, asked, suggestion, form })
    }

    /// The item with its draft as it stands now.
    async fn pane(self) -> Result<Response, Problem> {
        let item_id = self.suggestion.item_id;
        show_item(&self.person, &self.asked, item_id, StatusCode::OK, Mishap::default()).await
    }

    /// Not done: the reason, with the person's words kept.
    async fn not_done(self, error: ChangeError) -> Result<Response, Problem> {
        let ChangeError::Refused(refusal) = error else { return Err(error.into()) };
        let decision = self.person.decides_on(self.suggestion.id);
        let mut sentence = refusal.detail;
        if let Some(text) = &self.form.text {
            let seen = self.form.version.unwrap_or(self.suggestion.state.version);
            let mut conn = self.person.app.db.acquire().await?;
            // Too long to be kept on the server: then it stands in the answer alone.
            match approve::autosave(&mut conn, &self.person.app.moment(), decision, text, seen).await {
                Ok(()) | Err(ChangeError::Refused(_)) => sentence.push_str(" Your words are kept."),
                Err(error) => return Err(error.into()),
            }
        }
        let status =
            if refusal.code == "invalid-text" { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
        let mishap = Mishap { sentence: Some(sentence), typed: self.form.text, ..Mishap::default() };
        show_item(&self.person, &self.asked, self.suggestion.item_id, status, mishap).await
    }
}

/// The pane for htmx; for others a redirect to the item, or where something is to be said the whole page.
async fn show_item(
    person: &Person,
    asked: &Asked,
    item_id: Uuid,
    status: StatusCode,
    mishap: Mishap,
) -> Result<Response, Problem> {
    let id = item_id.to_string();
    if !asked.part && mishap.sentence.is_none() {
        return Ok(asked.go(&asked.inbox(&[("item", &id), ("step", "draft")])));
    }
    let mut conn = person.app.db.acquire().await?;
    if asked.part {
        let item = inbox::item(&mut conn, person.team_id, item_id).await?;
        let item = item.ok_or_else(|| Problem::not_found("item"))?;
        return Ok(super::page(status, &DraftPane::load(&mut conn, person, &item, mishap).await?));
    }
    let query = InboxQuery {
        filter: Some(asked.filter.slug().to_owned()),
        q: Some(asked.query.clone()),
        item: Some(id),
        step: Some("draft".to_owned()),
        ..InboxQuery::default()
    };
    Ok(super::page(status, &InboxPage::load(&mut conn, person, &query, mishap).await?))
}

async fn go_on(person: &Person, asked: &Asked, from: Uuid) -> Result<Response, Problem> {
    let mut conn = person.app.db.acquire().await?;
    let next = inbox::next_open(&mut conn, person.team_id, from).await?.map(|id| id.to_string());
    let from = from.to_string();
    Ok(asked.go(&match &next {
        Some(next) => asked.inbox(&[("decided", &from), ("item", next)]),
        // The last one: it stays on show, with its way back.
        None => asked.inbox(&[("item", &from), ("step", "draft")]),
    }))
}

pub async fn ask(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<ItemRef, Editor>,
    asked: Asked,
    CsrfForm(form): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    let person = Person { team_id: loaded.team_id, role: loaded.role, ..Person::of(&app, member) };
    let mut tx = app.db.begin().await?;
    let item = inbox::item(&mut tx, person.team_id, loaded.id).await?.ok_or_else(|| Problem::not_found("item"))?;
    let own_text = form.text.filter(|text| !text.trim().is_empty());
    let text = match own_text.as_deref().map(|raw| approve::checked_text(raw, person.length(&item.platform))) {
        Some(Ok(text)) => Some(text),
        Some(Err(error)) => {
            drop(tx);
            let mishap = Mishap { sentence: Some(format!("Not kept: {error}.")), typed: own_text, ..Mishap::default() };
            return show_item(&person, &asked, loaded.id, StatusCode::UNPROCESSABLE_ENTITY, mishap).await;
        }
        None => None,
    };
    let intent_id = form.intent_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
    let request = Request { post_id: item.post_id, comment_id: item.comment_id, intent_id, mode: Mode::Draft, text };
    match suggest::request(&mut tx, &app.moment(), person.team_id, person.user_id, request).await {
        Ok((_, is_new)) => {
            tx.commit().await?;
            // Somebody asked at the same moment: their draft is shown, with the words of this person beside it.
            let sentence = own_text.as_ref().filter(|_| !is_new).map(|_| "There is a draft already.".to_owned());
            let mishap = Mishap { sentence, typed: own_text.filter(|_| !is_new), ..Mishap::default() };
            show_item(&person, &asked, loaded.id, StatusCode::OK, mishap).await
        }
        Err(RequestError::NotEligible { reason, .. }) => {
            drop(tx);
            let mishap = Mishap { sentence: Some(reason), typed: own_text, ..Mishap::default() };
            show_item(&person, &asked, loaded.id, StatusCode::CONFLICT, mishap).await
        }
        Err(RequestError::NotFound(what)) => Err(Problem::not_found(what)),
        Err(RequestError::Database(error)) => Err(error.into()),
    }
}

pub async fn done(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<ItemRef, Editor>,
    asked: Asked,
    CsrfForm(_): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    let person = Person { team_id: loaded.team_id, role: loaded.role, ..Person::of(&app, member) };
    let mut tx = app.db.begin().await?;
    let actor = Some(person.user_id);
    inbox::set_state(&mut tx, &app.moment(), person.team_id, loaded.id, actor, ItemState::Done).await?;
    tx.commit().await?;
    go_on(&person, &asked, loaded.id).await
}

/// A decision on a suggestion.
#[derive(Debug, Clone, Copy)]
enum Action {
    Approve,
    Reject,
    Undo,
    Send,
    Retry,
    Regenerate,
}

impl Acting {
    /// One transaction; then on to the next item, or the pane again.
    async fn carry_out(self, action: Action) -> Result<Response, Problem> {
        let app = self.person.app.clone();
        let mut tx = app.db.begin().await?;
        let held = match self.change(&mut tx, action).await {
            Ok(held) => {
                tx.commit().await?;
                held
            }
            Err(error) => {
                drop(tx);
                return self.not_done(error).await;
            }
        };
        match action {
            Action::Approve if held => self.pane().await,
            Action::Approve | Action::Reject => go_on(&self.person, &self.asked, self.suggestion.item_id).await,
            Action::Undo | Action::Send | Action::Retry | Action::Regenerate => self.pane().await,
        }
    }

    /// True: an approval that was held, because a person should see the reasons first.
    async fn change(&self, tx: &mut PgConnection, action: Action) -> Result<bool, ChangeError> {
        let moment = self.person.app.moment();
        let decision = self.person.decides_on(self.suggestion.id);
        let done = match action {
            Action::Approve => {
                let wanted = self.approval(tx).await?;
                let (suggestion, _) = approve::approve(tx, &moment, decision, wanted).await?;
                return Ok(suggestion.state.status == Status::Pending);
            }
            Action::Reject => approve::reject(tx, &moment, decision, None).await.map(drop),
            Action::Undo => approve::undo(tx, &moment, decision).await.map(drop),
            Action::Send => approve::send(tx, &moment, decision).await.map(drop),
            Action::Retry => approve::retry(tx, &moment, decision).await.map(drop),
            Action::Regenerate => {
                let (team_id, id) = (decision.team_id, decision.suggestion_id);
                suggest::regenerate(tx, &moment, team_id, id, decision.by).await.map(drop)
            }
        };
        done.map(|()| false)
    }

    async fn approval(&self, tx: &mut PgConnection) -> Result<Approve, sqlx::Error> {
        let item = inbox::item(tx, self.person.team_id, self.suggestion.item_id).await?;
        let undo = self.person.app.config.timing.undo_dashboard;
        Ok(Approve {
            text: self.form.text.clone(),
            version: self.form.version,
            auto_post: true,
            undo_window: time::Duration::try_from(undo).unwrap_or(time::Duration::ZERO),
            length: item.map_or(LengthRule::characters(0), |item| self.person.length(&item.platform)),
        })
    }
}

macro_rules! decisions {
    ($($name:ident => $action:ident),+ $(,)?) => {$(
        pub async fn $name(
            State(app): State<App>,
            member: PageMember<Viewer>,
            loaded: Loaded<SuggestionRef, Editor>,
            asked: Asked,
            CsrfForm(form): CsrfForm<DraftForm>,
        ) -> Result<Response, Problem> {
            Acting::on(&app, member, &loaded, asked, form).await?.carry_out(Action::$action).await
        }
    )+};
}
decisions! {
    approve => Approve,
    reject => Reject,
    undo => Undo,
    send => Send,
    retry => Retry,
    regenerate => Regenerate,
}

/// What a person saw on the platform. An address that is not that of our reply comes back with the reason.
pub async fn resolve(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<SuggestionRef, Editor>,
    asked: Asked,
    CsrfForm(form): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    let acting = Acting::on(&app, member, &loaded, asked, form).await?;
    let on_list = acting.form.from.as_deref() == Some("uncertain");
    let absent = acting.form.seen.as_deref() == Some("absent");
    let address = acting.form.permalink.clone().unwrap_or_default();
    let seen = if absent { Ok(Seen::Absent) } else { Seen::found(&address) };
    let resolved = match seen {
        Ok(seen) => send::resolve(&app, acting.person.decides_on(acting.suggestion.id), seen).await,
        Err(error) => Err(error),
    };
    let error = match resolved {
        Ok(_) if on_list => {
            let settled = if absent { "absent" } else { "found" };
            return Ok(acting.asked.go(&format!("/dashboard/uncertain?settled={settled}")));
        }
        Ok(_) => return acting.pane().await,
        Err(error) => error,
    };
    let status = match error {
        ResolveError::Address(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ResolveError::Unreadable(_) | ResolveError::Change(ChangeError::Refused(_)) => StatusCode::CONFLICT,
        ResolveError::Change(_) => return Err(error.into()),
    };
    let (person, suggestion_id, sentence) = (&acting.person, acting.suggestion.id, error.to_string());
    if on_list {
        let mishap = uncertain::Mishap { suggestion_id, sentence, address };
        let mut conn = app.db.acquire().await?;
        let page = UncertainPage::load(&mut conn, person, UncertainQuery::default(), Some(mishap)).await?;
        return Ok(super::page(status, &page));
    }
    let mishap = Mishap { sentence: Some(sentence), address: Some(address), ..Mishap::default() };
    show_item(person, &acting.asked, acting.suggestion.item_id, status, mishap).await
}

/// Takes a posted reply down.
pub async fn unpublish(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<SuggestionRef, Editor>,
    asked: Asked,
    CsrfForm(form): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    Acting::on(&app, member, &loaded, asked, form).await?.change_posted(Wanted::Unpublish).await
}

/// Changes the words of a posted reply.
pub async fn revise(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<SuggestionRef, Editor>,
    asked: Asked,
    CsrfForm(form): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    let wanted = Wanted::Revise {
        text: form.text.clone().unwrap_or_default(),
        held_seen: form.held_seen.as_deref() == Some("yes"),
    };
    Acting::on(&app, member, &loaded, asked, form).await?.change_posted(wanted).await
}

impl Acting {
    async fn change_posted(self, wanted: Wanted) -> Result<Response, Problem> {
        let decision = self.person.decides_on(self.suggestion.id);
        let refusal = match send::change_posted(&self.person.app, decision, wanted).await {
            Ok(_) => return self.pane().await,
            Err(ChangeError::Refused(refusal)) => refusal,
            Err(error) => return Err(error.into()),
        };
        let held = refusal.code == "held";
        let status =
            if refusal.code == "invalid-text" { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CONFLICT };
        let revision = self.form.text.map(|text| Revision { text, held });
        let mishap = Mishap { sentence: Some(refusal.detail), revision, ..Mishap::default() };
        show_item(&self.person, &self.asked, self.suggestion.item_id, status, mishap).await
    }
}

/// What is typed is kept as it is typed; 204.
pub async fn autosave(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<SuggestionRef, Editor>,
    CsrfForm(form): CsrfForm<DraftForm>,
) -> Result<Response, Problem> {
    let person = Person { team_id: loaded.team_id, role: loaded.role, ..Person::of(&app, member) };
    let text = form.text.unwrap_or_default().replace("\r\n", "\n");
    let seen = form.version.ok_or_else(|| Problem::field("version", "is missing"))?;
    let mut conn = app.db.acquire().await?;
    approve::autosave(&mut conn, &app.moment(), person.decides_on(loaded.id), &text, seen).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
