//! The forms of the intents page. A refused form comes back as it was typed, with its reason; a taken one leads back to the
//! intent that it changed.

use super::{IntentCard, IntentForm, IntentsPage, Variation, VariationForm};
use crate::app::App;
use crate::error::Problem;
use crate::flow::intents::{self, IntentError, IntentFields, VariationFields};
use crate::http::auth::{Editor, IntentRef, Loaded, PageMember, VariationRef, Viewer};
use crate::http::csrf::CsrfForm;
use crate::http::pages::asked::see_other;
use crate::http::pages::page;
use crate::http::pages::person::Person;
use crate::http::pages::signin::NoFields;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub struct IntentsQuery {
    intent: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct SentIntent {
    name: String,
    tone: String,
    confidence_threshold: String,
    brand_voice: String,
}

#[derive(Debug, Deserialize)]
pub struct SentVariation {
    text: String,
    weight: String,
    /// A box that is not ticked is not sent.
    enabled: Option<String>,
}

impl SentIntent {
    fn fields(&self) -> Result<IntentFields, IntentError> {
        let threshold = self.confidence_threshold.trim().parse().map_err(|_| IntentError::Field {
            field: "confidence_threshold",
            message: "is no number between 0 and 1".to_owned(),
        })?;
        Ok(IntentFields {
            name: Some(self.name.clone()),
            tone: Some(self.tone.clone()),
            confidence_threshold: Some(threshold),
            brand_voice: Some(self.brand_voice.replace("\r\n", "\n")),
        })
    }

    fn shown_again(self, error: String) -> IntentForm {
        let Self { name, tone, confidence_threshold, brand_voice } = self;
        IntentForm { name, tone, confidence_threshold, brand_voice, error: Some(error) }
    }
}

impl SentVariation {
    fn fields(&self) -> Result<VariationFields, IntentError> {
        let weight = self.weight.trim().parse().map_err(|_| IntentError::Field {
            field: "weight",
            message: "is no whole number between 0 and 1000".to_owned(),
        })?;
        Ok(VariationFields {
            text: Some(self.text.replace("\r\n", "\n").trim().to_owned()),
            weight: Some(weight),
            enabled: Some(self.enabled.is_some()),
        })
    }

    fn shown_again(self, error: String) -> VariationForm {
        VariationForm { text: self.text, weight: self.weight, enabled: self.enabled.is_some(), error: Some(error) }
    }
}

/// The reason for a form; what is no fault of it goes to the error page.
fn reason(error: IntentError) -> Result<String, Problem> {
    match error {
        IntentError::NotFound => Err(Problem::not_found("intent")),
        IntentError::Database(error) => Err(error.into()),
        IntentError::NameTaken => Ok("An intent of this name exists already.".to_owned()),
        IntentError::Full(reason) => Ok(reason),
        IntentError::Field { field, message } => {
            let name = match field {
                "confidence_threshold" => "Confidence",
                "brand_voice" => "Brand voice",
                "name" => "The name",
                "tone" => "The tone",
                "weight" => "The weight",
                _ => "The text",
            };
            Ok(format!("{name} {message}."))
        }
    }
}

fn back_to(intent_id: Uuid) -> Response {
    see_other(&format!("/dashboard/intents?intent={intent_id}#intent-{intent_id}"))
}

/// The page with one refused form, put in by `put`.
async fn refused<R>(app: &App, member: PageMember<R>, put: impl FnOnce(&mut IntentsPage)) -> Result<Response, Problem> {
    let mut conn = app.db.acquire().await?;
    let mut shown = IntentsPage::load(&mut conn, &Person::of(app, member), None).await?;
    put(&mut shown);
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown))
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<IntentsQuery>,
) -> Result<Response, Problem> {
    let open = query.intent.as_deref().and_then(|text| Uuid::parse_str(text).ok());
    let mut conn = app.db.acquire().await?;
    Ok(page(StatusCode::OK, &IntentsPage::load(&mut conn, &Person::of(&app, member), open).await?))
}

pub async fn create(
    State(app): State<App>,
    member: PageMember<Editor>,
    CsrfForm(sent): CsrfForm<SentIntent>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let made = match sent.fields() {
        Ok(fields) => intents::create(&mut tx, &app.moment(), member.team_id, member.caller.user_id, fields).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(intent) => {
            tx.commit().await?;
            Ok(back_to(intent.id))
        }
        Err(error) => {
            drop(tx);
            let form = sent.shown_again(reason(error)?);
            refused(&app, member, |page| (page.new, page.new_open) = (form, true)).await
        }
    }
}

pub async fn update(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<IntentRef, Editor>,
    CsrfForm(sent): CsrfForm<SentIntent>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let (team_id, id) = (loaded.team_id, loaded.id);
    let changed = match sent.fields() {
        Ok(fields) => intents::update(&mut tx, &app.moment(), team_id, id, loaded.caller.user_id, fields).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => {
            tx.commit().await?;
            Ok(back_to(id))
        }
        Err(error) => {
            drop(tx);
            let form = sent.shown_again(reason(error)?);
            refused(&app, member, |page| {
                for card in page.intents.iter_mut().filter(|card| card.id == id) {
                    card.form = form.clone();
                }
            })
            .await
        }
    }
}

pub async fn delete(
    State(app): State<App>,
    _: PageMember<Viewer>,
    loaded: Loaded<IntentRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let actor = loaded.caller.user_id;
    match intents::delete(&mut tx, &app.moment(), loaded.team_id, loaded.id, actor).await {
        Ok(()) => tx.commit().await?,
        Err(error) => return Err(Problem::conflict("not-deleted", reason(error)?)),
    }
    Ok(see_other("/dashboard/intents"))
}

pub async fn add_variation(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<IntentRef, Editor>,
    CsrfForm(sent): CsrfForm<SentVariation>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let (team_id, id) = (loaded.team_id, loaded.id);
    let added = match sent.fields() {
        Ok(fields) => intents::add_variation(&mut tx, &app.moment(), team_id, id, loaded.caller.user_id, fields).await,
        Err(error) => Err(error),
    };
    match added {
        Ok(_) => {
            tx.commit().await?;
            Ok(back_to(id))
        }
        Err(error) => {
            drop(tx);
            let form = sent.shown_again(reason(error)?);
            refused(&app, member, |page| {
                for card in page.intents.iter_mut().filter(|card| card.id == id) {
                    card.new_variation = form.clone();
                }
            })
            .await
        }
    }
}

pub async fn update_variation(
    State(app): State<App>,
    member: PageMember<Viewer>,
    loaded: Loaded<VariationRef, Editor>,
    CsrfForm(sent): CsrfForm<SentVariation>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let (team_id, id) = (loaded.team_id, loaded.id);
    let changed = match sent.fields() {
        Ok(fields) => {
            intents::update_variation(&mut tx, &app.moment(), team_id, id, loaded.caller.user_id, fields).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(variation) => {
            tx.commit().await?;
            Ok(back_to(variation.intent_id))
        }
        Err(error) => {
            drop(tx);
            let form = sent.shown_again(reason(error)?);
            refused(&app, member, |page| {
                let all = page.intents.iter_mut().flat_map(|card| card.variations.iter_mut());
                for variation in all.filter(|variation| variation.id == id) {
                    variation.form = form.clone();
                }
            })
            .await
        }
    }
}

/// The form around the button sends its fields too; they do not count.
pub async fn delete_variation(
    State(app): State<App>,
    _: PageMember<Viewer>,
    loaded: Loaded<VariationRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let actor = loaded.caller.user_id;
    match intents::delete_variation(&mut tx, &app.moment(), loaded.team_id, loaded.id, actor).await {
        Ok(()) => tx.commit().await?,
        Err(error) => return Err(Problem::conflict("not-deleted", reason(error)?)),
    }
    Ok(see_other("/dashboard/intents"))
}

impl IntentsPage {
    async fn load(conn: &mut PgConnection, person: &Person, open: Option<Uuid>) -> Result<Self, sqlx::Error> {
        let all = intents::variations(conn, person.team_id).await?;
        let card = |intent: intents::Intent| {
            let own: Vec<_> = all.iter().filter(|variation| variation.intent_id == intent.id).collect();
            let weights: i64 = own.iter().filter(|one| one.enabled).map(|one| i64::from(one.weight)).sum();
            IntentCard {
                id: intent.id,
                form: IntentForm {
                    name: intent.name,
                    tone: intent.tone,
                    confidence_threshold: format!("{:.2}", intent.confidence_threshold),
                    brand_voice: intent.brand_voice,
                    error: None,
                },
                variations: own.into_iter().map(|one| Variation::of(one, weights)).collect(),
                new_variation: VariationForm::default(),
            }
        };
        let intents = intents::list(conn, person.team_id).await?.into_iter().map(card).collect();
        Ok(Self {
            frame: person.frame(conn).await?,
            intents,
            open,
            new: IntentForm::default(),
            new_open: false,
            may_change: person.may_act(),
        })
    }
}

impl Variation {
    fn of(row: &intents::Variation, weights: i64) -> Self {
        let share = if row.enabled && weights > 0 { i64::from(row.weight) * 100 / weights } else { 0 };
        Self {
            id: row.id,
            form: VariationForm {
                text: row.text.clone(),
                weight: row.weight.to_string(),
                enabled: row.enabled,
                error: None,
            },
            share: u64::try_from(share).unwrap_or(0),
        }
    }
}
