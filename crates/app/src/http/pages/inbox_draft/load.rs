//! From rows to the draft pane: the newest suggestion of the item, the person's unsent words, the facts beside them.

use super::{DraftPane, DraftState, Editor, Facts, HouseRule, IntentChoice, Mishap, posted};
use crate::accounts::{integrations, users};
use crate::error::Problem;
use crate::flow::approve::{self, UnsavedEdit};
use crate::flow::etiquette::opt_outs::{self, OptOut};
use crate::flow::ingest::inbox::ItemRow;
use crate::flow::ingest::thread::{self, PostRow};
use crate::flow::places::{self, Known};
use crate::flow::suggestion::{self, Suggestion};
use crate::flow::{self, intents};
use crate::http::pages::marks::Mark;
use crate::http::pages::person::Person;
use crate::http::pages::story;
use crate::http::pages::words::WebLink;
use crate::model::{GeneratedBy, ItemState, Stage, Status};
use sqlx::PgConnection;
use uuid::Uuid;

impl DraftPane {
    pub async fn load(
        conn: &mut PgConnection,
        person: &Person,
        item: &ItemRow,
        mishap: Mishap,
    ) -> Result<Self, Problem> {
        let post = thread::post(conn, person.team_id, item.post_id).await?;
        let post = post.ok_or_else(|| Problem::not_found("post"))?;
        let suggestion = suggestion::latest_of_item(conn, person.team_id, item.id).await?;
        let mark = Mark::of(&item.platform);
        let around = Around::load(conn, person, item, &post).await?;
        let (state, note) = match &suggestion {
            Some(suggestion) => {
                let (state, note) = state_of(conn, person, suggestion, &mark, &mishap).await?;
                (around.left_to_people(state, item), note)
            }
            None => (without_suggestion(item, &post, &mark, &around), None),
        };
        let typed = mishap.typed.filter(|_| !matches!(state, DraftState::Ready(_)));
        let wanted = suggestion.as_ref().and_then(|found| found.wanted_intent_id);
        Ok(Self {
            now: person.now,
            csrf: person.csrf.clone(),
            item_id: item.id,
            length: person.length(&item.platform),
            state,
            conflict: mishap.sentence.or(note),
            typed,
            intents: choices(conn, person.team_id, wanted).await?,
            facts: around.added_to(facts(conn, person, item, &mark, suggestion.as_ref()).await?),
            mark,
            may_act: person.may_act(),
        })
    }
}

/// What stands around the text besides its thread: whether only a person's hand may answer it, whether its author wants answers,
/// what its community says.
struct Around {
    by_hand: Option<String>,
    permalink: Option<WebLink>,
    opt_out: Option<OptOut>,
    place: Option<Known>,
}

impl Around {
    async fn load(
        conn: &mut PgConnection,
        person: &Person,
        item: &ItemRow,
        post: &PostRow,
    ) -> Result<Self, sqlx::Error> {
        let comment = match item.comment_id {
            Some(id) => thread::comment(conn, person.team_id, id).await?,
            None => None,
        };
        let (by_hand, permalink, author_id, handle) = match comment {
            Some(it) => (it.by_hand, it.permalink, it.author_platform_id, it.author_handle),
            None if item.comment_id.is_some() => (None, None, None, None),
            None => {
                let it = post.clone();
                (it.by_hand, it.permalink, it.author_platform_id, it.author_handle)
            }
        };
        let opt_out = match opt_outs::author_key(author_id.as_deref(), handle.as_deref()) {
            Some(key) => opt_outs::standing(conn, person.team_id, &item.platform, &key).await?,
            None => None,
        };
        let place = match &post.community {
            Some(community) => places::known(conn, person.team_id, item.integration_id, community).await?,
            None => None,
        };
        Ok(Self { by_hand, permalink: permalink.as_deref().and_then(WebLink::parse), opt_out, place })
    }

    /// What only people may answer: the words of a draft are there to be copied, for sending them would be refused.
    fn left_to_people(&self, state: DraftState, item: &ItemRow) -> DraftState {
        let Some(reason) = self.by_hand.clone() else { return state };
        let text = match state {
            DraftState::Failed { text, .. } => text,
            DraftState::Ready(editor) => editor.text,
            other => return other,
        };
        match ItemState::from(item.state.clone()) {
            ItemState::Open | ItemState::Snoozed => {
                DraftState::ByHand { reason, permalink: self.permalink.clone(), text: Some(text) }
            }
            _ => DraftState::Closed { sentence: "Closed. Its answer was left to a person's hand.".to_owned() },
        }
    }

    fn added_to(self, facts: Facts) -> Facts {
        let rules = self.place.as_ref().map(|place| place.rules.clone()).unwrap_or_default();
        Facts {
            silent_since: self.opt_out.map(|opt_out| opt_out.noted_at),
            caution: self.place.and_then(|place| place.closed().or_else(|| place.caution())),
            rules: rules
                .into_iter()
                .map(|rule| HouseRule { title: rule.title, description: rule.description })
                .collect(),
            ..facts
        }
    }
}

fn without_suggestion(item: &ItemRow, post: &PostRow, mark: &Mark, around: &Around) -> DraftState {
    let closed_to_us = around.place.as_ref().and_then(Known::closed);
    let closed = |sentence: &str| DraftState::Closed { sentence: sentence.to_owned() };
    match ItemState::from(item.state.clone()) {
        ItemState::AnsweredElsewhere => closed("Your account answered there already, outside of Rejoinder."),
        ItemState::Done | ItemState::Ignored => closed("Closed without a reply."),
        _ if post.locked => DraftState::ByHand {
            reason: "The thread is locked or archived; nobody can reply there any more.".to_owned(),
            permalink: post.permalink.as_deref().and_then(WebLink::parse),
            text: None,
        },
        ItemState::Open | ItemState::Snoozed => match (&around.opt_out, closed_to_us, &around.by_hand) {
            (Some(opt_out), ..) => {
                let who =
                    item.author_handle.as_deref().map_or_else(|| "Its author".to_owned(), |name| mark.handle(name));
                let words = &opt_out.words;
                let sentence = format!(
                    "{who} said \u{201C}{words}\u{201D} and is answered no more. An admin may lift that on the page Etiquette."
                );
                DraftState::Silent { sentence }
            }
            (None, Some(reason), _) => DraftState::ByHand {
                reason: format!(
                    "{reason} Rejoinder posts nothing there; copy and open it, where you can get in yourself."
                ),
                permalink: post.permalink.as_deref().and_then(WebLink::parse),
                text: None,
            },
            (None, None, Some(reason)) => {
                DraftState::ByHand { reason: reason.clone(), permalink: around.permalink.clone(), text: None }
            }
            (None, None, None) => DraftState::Nothing,
        },
    }
}

/// The state, and a sentence about it where one is due.
async fn state_of(
    conn: &mut PgConnection,
    person: &Person,
    suggestion: &Suggestion,
    mark: &Mark,
    mishap: &Mishap,
) -> Result<(DraftState, Option<String>), Problem> {
    let state = &suggestion.state;
    let suggestion_id = suggestion.id;
    let text = state.text.clone().unwrap_or_default();
    let reason = || state.stage_reason.clone().unwrap_or_default();
    let version = i64::from(state.version);
    let shown = match (state.status, state.stage) {
        (Status::Pending, Stage::Drafting) => DraftState::Drafting { since: suggestion.updated_at },
        (Status::Pending, _) => {
            let unsaved = approve::unsaved_edit(conn, person.decides_on(suggestion_id)).await?;
            let (editor, note) = editor(person, suggestion, unsaved, mishap.typed.clone());
            return Ok((DraftState::Ready(editor), note));
        }
        (Status::Approved, Stage::Queued) => {
            DraftState::Queued { suggestion_id, text, goes_out_at: state.send_after.unwrap_or(suggestion.updated_at) }
        }
        (Status::Approved, Stage::Parked) => {
            DraftState::Parked { suggestion_id, text, why: reason(), next_try_at: state.send_after }
        }
        (Status::Approved, Stage::Sending) => DraftState::Sending { suggestion_id, text, since: suggestion.updated_at },
        (Status::Approved, Stage::Uncertain) => DraftState::Uncertain {
            suggestion_id,
            text,
            reason: reason(),
            next_look_at: state.send_after,
            address: mishap.address.clone(),
        },
        (Status::Approved, _) => {
            let by = approver(conn, suggestion).await?;
            let at = state.approved_at.unwrap_or(suggestion.updated_at);
            DraftState::Approved { suggestion_id, version, text, by, at }
        }
        (Status::Posted, _) => posted::state(conn, suggestion, mark, mishap).await?,
        (Status::Rejected, _) => DraftState::Rejected {
            suggestion_id,
            text,
            by: suggestion.changed_by_name.clone().unwrap_or_else(|| "Rejoinder".to_owned()),
            at: suggestion.updated_at,
        },
        (Status::Failed, _) if state.approved_at.is_none() => DraftState::NoDraft { reason: reason() },
        (Status::Failed, _) => DraftState::Failed {
            suggestion_id,
            version,
            text,
            reason: reason(),
            what_to_do: format!(
                "Nothing of it is on {}. Mend the cause, then send it again, or ask for a new draft.",
                mark.name
            ),
            may_retry: true,
        },
    };
    Ok((shown, None))
}

/// The person's own words win over the draft, whatever happened to it meanwhile.
fn editor(
    person: &Person,
    suggestion: &Suggestion,
    unsaved: Option<UnsavedEdit>,
    typed: Option<String>,
) -> (Editor, Option<String>) {
    let state = &suggestion.state;
    let draft = state.text.clone().unwrap_or_default();
    let stale = unsaved.as_ref().is_some_and(|edit| edit.base_version != state.version);
    let saved_at = unsaved.as_ref().map(|edit| edit.updated_at);
    let own =
        typed.or(unsaved.map(|edit| edit.text)).map(|text| text.replace("\r\n", "\n")).filter(|text| *text != draft);
    let theirs = own.as_ref().filter(|_| stale).map(|_| draft.clone());
    let mut held = state.held_reasons.clone();
    if state.draft.should_reply == Some(false) {
        let why = state.draft.reason.as_deref().unwrap_or("no reason given").trim_end_matches('.');
        held.push(format!("the model would not reply ({why})"));
    }
    let note = match (&theirs, &state.stage_reason) {
        (Some(_), _) => Some(format!(
            "{} That was while you were writing. Your words are kept; approving takes yours.",
            suggestion.last_change()
        )),
        (None, Some(reason)) if state.held_reasons.is_empty() => Some(reason.clone()),
        _ => None,
    };
    let editor = Editor {
        suggestion_id: suggestion.id,
        version: i64::from(state.version),
        original_text: state.original_text.clone().filter(|first| *first != draft || own.is_some()),
        saved_at: saved_at.filter(|_| own.is_some()),
        text: own.unwrap_or(draft),
        theirs,
        alternatives: state.alternatives.clone(),
        held,
        undo_secs: person.app.config.timing.undo_dashboard.as_secs(),
    };
    (editor, note)
}

pub(super) async fn approver(conn: &mut PgConnection, suggestion: &Suggestion) -> Result<String, sqlx::Error> {
    let name = match suggestion.state.approved_by {
        Some(id) => users::by_id(conn, id).await?.map(|user| user.name),
        None => None,
    };
    Ok(name.unwrap_or_else(|| "a rule".to_owned()))
}

async fn choices(
    conn: &mut PgConnection,
    team_id: Uuid,
    wanted: Option<Uuid>,
) -> Result<Vec<IntentChoice>, sqlx::Error> {
    let intents = intents::list(conn, team_id).await?.into_iter();
    Ok(intents
        .map(|intent| IntentChoice { id: intent.id, selected: wanted == Some(intent.id), name: intent.name })
        .collect())
}

async fn facts(
    conn: &mut PgConnection,
    person: &Person,
    item: &ItemRow,
    mark: &Mark,
    suggestion: Option<&Suggestion>,
) -> Result<Facts, sqlx::Error> {
    let account = integrations::load(conn, person.team_id, item.integration_id).await?;
    let comments = thread::count_comments(conn, person.team_id, item.post_id).await?;
    let mut facts = Facts {
        author: item.author_handle.as_deref().map(|name| mark.handle(name)),
        comments: u64::try_from(comments).ok(),
        account: account.map(|account| mark.handle(&account.display_name)),
        found_by: item.watch_text.as_deref().map(|text| match item.watch_kind.as_deref() {
            Some("community") => format!("r/{text}"),
            _ => format!("\u{201C}{text}\u{201D}"),
        }),
        ..Facts::default()
    };
    let Some(suggestion) = suggestion else { return Ok(facts) };
    let draft = &suggestion.state.draft;
    if let Some(id) = draft.intent_id
        && let Some(intent) = intents::load(conn, person.team_id, id).await?
    {
        facts.tone = draft.tone.clone().or(Some(intent.tone));
        facts.intent = Some(intent.name);
    }
    facts.confidence = draft.confidence;
    facts.language.clone_from(&draft.language);
    facts.written_by = match draft.generated_by {
        _ if suggestion.state.text.is_none() => None,
        GeneratedBy::Person => Some("a person".to_owned()),
        GeneratedBy::Template => Some("a template of yours".to_owned()),
        GeneratedBy::Ai => draft.model.clone(),
    };
    let tokens = draft.tokens_prompt.unwrap_or(0) + draft.tokens_output.unwrap_or(0);
    facts.tokens = u64::try_from(tokens).ok().filter(|tokens| *tokens > 0);
    let told = flow::story::of(conn, person.team_id, suggestion.id).await?;
    facts.history = told.into_iter().rev().map(story::line).collect();
    Ok(facts)
}
