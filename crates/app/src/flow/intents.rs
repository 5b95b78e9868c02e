//! Intents and their variations: what a team answers, in which tone, with which words. Writer of both tables.

use crate::clock::Moment;
use crate::error::violated_constraint;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::ingest::normalise;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest text of a variation, in characters.
pub const VARIATION_CHARS: usize = 280;
/// More than this confuse a model and a person.
const MAX_INTENTS: i64 = 100;
const MAX_VARIATIONS: i64 = 50;

#[derive(Debug, Clone)]
pub struct Intent {
    pub id: Uuid,
    pub name: String,
    pub tone: String,
    pub confidence_threshold: f64,
    pub brand_voice: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct Variation {
    pub id: Uuid,
    pub intent_id: Uuid,
    pub text: String,
    pub weight: i32,
    pub enabled: bool,
    pub created_at: OffsetDateTime,
}

/// What a person may set of an intent; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct IntentFields {
    pub name: Option<String>,
    pub tone: Option<String>,
    pub confidence_threshold: Option<f64>,
    pub brand_voice: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct VariationFields {
    pub text: Option<String>,
    pub weight: Option<i32>,
    pub enabled: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    #[error("there is no such intent")]
    NotFound,
    #[error("an intent of this name exists already")]
    NameTaken,
    #[error("{0}")]
    Full(String),
    #[error("{field}: {message}")]
    Field { field: &'static str, message: String },
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for IntentError {
    fn from(error: sqlx::Error) -> Self {
        match violated_constraint(&error) {
            Some("intents_team_name_key") => Self::NameTaken,
            _ => Self::Database(error),
        }
    }
}

fn field<T>(field: &'static str, message: impl Into<String>) -> Result<T, IntentError> {
    Err(IntentError::Field { field, message: message.into() })
}

impl IntentFields {
    /// The fields as they are stored, or what is wrong with one.
    fn checked(mut self) -> Result<Self, IntentError> {
        self.name = self.name.map(|name| normalise::line(&name, normalise::MAX_CHARS));
        self.brand_voice = self.brand_voice.map(|voice| normalise::text(&voice));
        if let Some(name) = &self.name
            && !(1..=80).contains(&name.chars().count())
        {
            return field("name", "must have 1 to 80 characters");
        }
        if let Some(tone) = &self.tone
            && !["friendly", "formal", "witty", "neutral"].contains(&tone.as_str())
        {
            return field("tone", format!("`{tone}` is none of friendly, formal, witty, neutral"));
        }
        if let Some(threshold) = self.confidence_threshold
            && !(0.0..=1.0).contains(&threshold)
        {
            return field("confidence_threshold", format!("{threshold} is not between 0 and 1"));
        }
        if let Some(voice) = &self.brand_voice
            && voice.chars().count() > 4_000
        {
            return field("brand_voice", "may have at most 4,000 characters");
        }
        Ok(self)
    }
}

impl VariationFields {
    /// The fields as they are stored, or what is wrong with one.
    fn checked(mut self) -> Result<Self, IntentError> {
        self.text = self.text.map(|text| normalise::text(&text).trim().to_owned());
        if let Some(text) = &self.text {
            let length = text.chars().count();
            if !(1..=VARIATION_CHARS).contains(&length) {
                return field("text", format!("must have 1 to {VARIATION_CHARS} characters, has {length}"));
            }
        }
        if let Some(weight) = self.weight
            && !(0..=1000).contains(&weight)
        {
            return field("weight", format!("{weight} is not between 0 and 1000"));
        }
        Ok(self)
    }
}

pub async fn list(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<Intent>, sqlx::Error> {
    sqlx::query_as!(
        Intent,
        "select id, name, tone, confidence_threshold, brand_voice, created_at, updated_at
         from intents where team_id = $1 and deleted_at is null order by lower(name), id",
        team_id,
    )
    .fetch_all(conn)
    .await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Intent>, sqlx::Error> {
    sqlx::query_as!(
        Intent,
        "select id, name, tone, confidence_threshold, brand_voice, created_at, updated_at
         from intents where id = $1 and team_id = $2 and deleted_at is null",
        id,
        team_id,
    )
    .fetch_optional(conn)
    .await
}

/// Keeps others from changing the intent until the transaction ends.
pub async fn take(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Intent>, sqlx::Error> {
    sqlx::query!("select id from intents where id = $1 and team_id = $2 for no key update", id, team_id)
        .fetch_optional(&mut *conn)
        .await?;
    load(conn, team_id, id).await
}

/// All variations of the team's intents, in the order they were written.
pub async fn variations(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<Variation>, sqlx::Error> {
    sqlx::query_as!(
        Variation,
        "select v.id, v.intent_id, v.text, v.weight, v.enabled, v.created_at
         from intent_variations v join intents i on i.id = v.intent_id
         where i.team_id = $1 and i.deleted_at is null
         order by v.created_at, v.id",
        team_id,
    )
    .fetch_all(conn)
    .await
}

pub async fn create(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    actor: Uuid,
    fields: IntentFields,
) -> Result<Intent, IntentError> {
    let fields = fields.checked()?;
    let Some(name) = fields.name else {
        return field("name", "is missing");
    };
    let count = sqlx::query_scalar!(
        r#"select count(*) as "n!" from intents where team_id = $1 and deleted_at is null"#,
        team_id
    )
    .fetch_one(&mut *conn)
    .await?;
    if count >= MAX_INTENTS {
        return Err(IntentError::Full(format!("A team may have {MAX_INTENTS} intents. Delete one first.")));
    }
    let intent = Intent {
        id: moment.id(),
        name,
        tone: fields.tone.unwrap_or_else(|| "friendly".to_owned()),
        confidence_threshold: fields.confidence_threshold.unwrap_or(0.8),
        brand_voice: fields.brand_voice.unwrap_or_default(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    sqlx::query!(
        "insert into intents (id, team_id, name, tone, confidence_threshold, brand_voice, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)",
        intent.id,
        team_id,
        intent.name,
        intent.tone,
        intent.confidence_threshold,
        intent.brand_voice,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "after": describe(&intent) });
    activity::record(conn, moment, team_id, Some(actor), Kind::IntentCreated, Subject::Intent(intent.id), payload)
        .await?;
    Ok(intent)
}

fn describe(intent: &Intent) -> serde_json::Value {
    json!({
        "name": intent.name, "tone": intent.tone, "confidence_threshold": intent.confidence_threshold, "brand_voice": intent.brand_voice,
    })
}

pub async fn update(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    actor: Uuid,
    fields: IntentFields,
) -> Result<Intent, IntentError> {
    let fields = fields.checked()?;
    let before = load(conn, team_id, id).await?.ok_or(IntentError::NotFound)?;
    let after = Intent {
        name: fields.name.unwrap_or_else(|| before.name.clone()),
        tone: fields.tone.unwrap_or_else(|| before.tone.clone()),
        confidence_threshold: fields.confidence_threshold.unwrap_or(before.confidence_threshold),
        brand_voice: fields.brand_voice.unwrap_or_else(|| before.brand_voice.clone()),
        updated_at: moment.now,
        ..before.clone()
    };
    if describe(&before) == describe(&after) {
        return Ok(before);
    }
    sqlx::query!(
        "update intents set name = $3, tone = $4, confidence_threshold = $5, brand_voice = $6, updated_at = $7
         where id = $1 and team_id = $2",
        id,
        team_id,
        after.name,
        after.tone,
        after.confidence_threshold,
        after.brand_voice,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "before": describe(&before), "after": describe(&after) });
    activity::record(conn, moment, team_id, Some(actor), Kind::IntentChanged, Subject::Intent(id), payload).await?;
    Ok(after)
}

/// Takes the intent out of use. Suggestions that name it keep it; its name is free again.
pub async fn delete(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    actor: Uuid,
) -> Result<(), IntentError> {
    let before = load(conn, team_id, id).await?.ok_or(IntentError::NotFound)?;
    sqlx::query!("update intents set deleted_at = $3 where id = $1 and team_id = $2", id, team_id, moment.now)
        .execute(&mut *conn)
        .await?;
    let payload = json!({ "before": describe(&before) });
    activity::record(conn, moment, team_id, Some(actor), Kind::IntentDeleted, Subject::Intent(id), payload).await?;
    Ok(())
}

pub async fn add_variation(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    intent_id: Uuid,
    actor: Uuid,
    fields: VariationFields,
) -> Result<Variation, IntentError> {
    let fields = fields.checked()?;
    let Some(text) = fields.text else { return field("text", "is missing") };
    load(conn, team_id, intent_id).await?.ok_or(IntentError::NotFound)?;
    let count =
        sqlx::query_scalar!(r#"select count(*) as "n!" from intent_variations where intent_id = $1"#, intent_id)
            .fetch_one(&mut *conn)
            .await?;
    if count >= MAX_VARIATIONS {
        return Err(IntentError::Full(format!("An intent may have {MAX_VARIATIONS} variations. Delete one first.")));
    }
    let variation = Variation {
        id: moment.id(),
        intent_id,
        text,
        weight: fields.weight.unwrap_or(10),
        enabled: fields.enabled.unwrap_or(true),
        created_at: moment.now,
    };
    sqlx::query!(
        "insert into intent_variations (id, intent_id, text, weight, enabled, created_at) values ($1, $2, $3, $4, $5, $6)",
        variation.id,
        intent_id,
        variation.text,
        variation.weight,
        variation.enabled,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload =
        json!({ "variation_id": variation.id, "after": { "text": variation.text, "weight": variation.weight } });
    let subject = Subject::Intent(intent_id);
    activity::record(conn, moment, team_id, Some(actor), Kind::VariationCreated, subject, payload).await?;
    Ok(variation)
}

async fn load_variation(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Variation, IntentError> {
    sqlx::query_as!(
        Variation,
        "select v.id, v.intent_id, v.text, v.weight, v.enabled, v.created_at
         from intent_variations v join intents i on i.id = v.intent_id
         where v.id = $1 and i.team_id = $2 and i.deleted_at is null",
        id,
        team_id,
    )
    .fetch_optional(conn)
    .await?
    .ok_or(IntentError::NotFound)
}

pub async fn update_variation(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    actor: Uuid,
    fields: VariationFields,
) -> Result<Variation, IntentError> {
    let fields = fields.checked()?;
    let before = load_variation(conn, team_id, id).await?;
    let after = Variation {
        text: fields.text.unwrap_or_else(|| before.text.clone()),
        weight: fields.weight.unwrap_or(before.weight),
        enabled: fields.enabled.unwrap_or(before.enabled),
        ..before.clone()
    };
    sqlx::query!(
        "update intent_variations set text = $2, weight = $3, enabled = $4 where id = $1",
        id,
        after.text,
        after.weight,
        after.enabled,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({
        "variation_id": id,
        "before": { "text": before.text, "weight": before.weight, "enabled": before.enabled },
        "after": { "text": after.text, "weight": after.weight, "enabled": after.enabled },
    });
    let subject = Subject::Intent(before.intent_id);
    activity::record(conn, moment, team_id, Some(actor), Kind::VariationChanged, subject, payload).await?;
    Ok(after)
}

pub async fn delete_variation(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    actor: Uuid,
) -> Result<(), IntentError> {
    let before = load_variation(conn, team_id, id).await?;
    sqlx::query!("delete from intent_variations where id = $1", id).execute(&mut *conn).await?;
    let payload = json!({ "variation_id": id, "before": { "text": before.text, "weight": before.weight } });
    let subject = Subject::Intent(before.intent_id);
    activity::record(conn, moment, team_id, Some(actor), Kind::VariationDeleted, subject, payload).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Result<IntentFields, IntentError> {
        IntentFields { name: Some(name.to_owned()), ..IntentFields::default() }.checked()
    }

    #[test]
    fn what_cannot_be_seen_or_stored_is_gone_before_a_field_is_measured() {
        assert_eq!(named(" Tha\u{0}nk\n you ").unwrap().name.as_deref(), Some("Thank you"));
        assert!(matches!(named("\u{0}\u{200B}"), Err(IntentError::Field { field: "name", .. })));
        let written = |text: &str| VariationFields { text: Some(text.to_owned()), ..VariationFields::default() };
        assert_eq!(written("\u{0}\r\nFine\u{202E}!").checked().unwrap().text.as_deref(), Some("Fine!"));
        assert!(matches!(written("\u{0} ").checked(), Err(IntentError::Field { field: "text", .. })));
        let voice = IntentFields { brand_voice: Some("Calm\u{0}.\r\nShort.".to_owned()), ..IntentFields::default() };
        assert_eq!(voice.checked().unwrap().brand_voice.as_deref(), Some("Calm.\nShort."));
    }
}
