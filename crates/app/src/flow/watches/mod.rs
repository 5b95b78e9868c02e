//! What a team follows beside its own posts: communities and words. Writer of `watches`; what a watch finds goes through `ingest`
//! into the inbox, marked with the watch.
//!
//! Always: each watch has its own switch and its own position; a watch that is turned off while it is being polled stores nothing.

mod job;

pub use job::{WatchPoll, WatchesSweep};

use crate::accounts::integrations;
use crate::clock::Moment;
use crate::error::{Problem, violated_constraint};
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::ingest::normalise;
use crate::model::WatchKind;
use rejoinder_platforms::{Capabilities, Readers, Watch};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// More than this one team's share of the request budget does not carry.
const MAX_WATCHES: i64 = 50;
const KEYWORD_CHARS: usize = 100;

#[derive(Debug, Clone)]
pub struct WatchRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
    /// The account that looks.
    pub account: String,
    pub kind: String,
    /// Name of the community, or the words that are looked for.
    pub text: String,
    /// A keyword in this community only.
    pub community: Option<String>,
    pub active: bool,
    pub cursor: Value,
    pub last_polled_at: Option<OffsetDateTime>,
    pub last_problem: Option<String>,
    /// Items that it found.
    pub found: i64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl WatchRow {
    pub fn kind(&self) -> WatchKind {
        self.kind.clone().into()
    }

    /// As people read it: "r/espresso", "“grinder” in r/espresso".
    pub fn title(&self) -> String {
        match (self.kind(), &self.community) {
            (WatchKind::Community, _) => format!("r/{}", self.text),
            (WatchKind::Keyword, Some(community)) => format!("\u{201C}{}\u{201D} in r/{community}", self.text),
            (WatchKind::Keyword, None) => format!("\u{201C}{}\u{201D}", self.text),
        }
    }
}

/// A watch that is to be made.
#[derive(Debug, Clone)]
pub struct NewWatch {
    pub integration_id: Uuid,
    pub kind: WatchKind,
    pub text: String,
    pub community: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the team follows this already")]
    Same,
    #[error("a team follows at most {MAX_WATCHES} things; delete one first")]
    Full,
    #[error("{0}")]
    NotThere(String),
    #[error("{field}: {message}")]
    Field { field: &'static str, message: String },
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for WatchError {
    fn from(error: sqlx::Error) -> Self {
        match violated_constraint(&error) {
            Some("watches_same_key") => Self::Same,
            _ => Self::Database(error),
        }
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::NotFound(what) => Self::not_found(what),
            WatchError::Same => Self::conflict("same-watch", "The team follows this already with this account."),
            WatchError::Full => Self::conflict("full", format!("{error}.")),
            WatchError::NotThere(reason) => Self::conflict("cannot-be-followed", format!("{reason}.")),
            WatchError::Field { field, message } => Self::field(field, message),
            WatchError::Database(error) => error.into(),
        }
    }
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, WatchError> {
    Err(WatchError::Field { field, message: message.into() })
}

macro_rules! select_watches {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            WatchRow,
            r#"select w.id, w.team_id, w.integration_id, i.platform, i.display_name as account, w.kind, w.text, w.community, w.active, w.cursor,
                      w.last_polled_at, w.last_problem, w.created_at, w.updated_at,
                      (select count(*) from inbox_items item where item.watch_id = w.id) as "found!"
               from watches w join integrations i on i.id = w.integration_id "# + $rest,
            $($args),*
        )
    };
}

/// Newest first, keyset-paged.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<WatchRow>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    select_watches!(
        "where w.team_id = $1 and ($2::timestamptz is null or (w.created_at, w.id) < ($2, $3))
         order by w.created_at desc, w.id desc limit $4",
        team_id,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<WatchRow>, sqlx::Error> {
    select_watches!("where w.id = $1 and w.team_id = $2", id, team_id).fetch_optional(conn).await
}

async fn load_any_team(conn: &mut PgConnection, id: Uuid) -> Result<Option<WatchRow>, sqlx::Error> {
    select_watches!("where w.id = $1", id).fetch_optional(conn).await
}

pub async fn create(
    conn: &mut PgConnection,
    readers: &Readers,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    new: NewWatch,
) -> Result<WatchRow, WatchError> {
    let integration = integrations::hold_to_change(conn, team_id, new.integration_id).await?;
    let integration = integration.filter(|account| account.state() != crate::model::IntegrationState::Disconnected);
    let integration = integration.ok_or(WatchError::NotFound("integration"))?;
    let (text, community) = checked(new.kind, &new.text, new.community.as_deref())?;
    let followed = what(new.kind, &text, community.as_deref());
    if let Ok(reader) = readers.get(&integration.platform) {
        let Capabilities { name, watching, .. } = reader.capabilities();
        watching.problem(name, &followed).map_or(Ok(()), |reason| Err(WatchError::NotThere(reason)))?;
    }
    let there = sqlx::query_scalar!(r#"select count(*) as "n!" from watches where team_id = $1"#, team_id)
        .fetch_one(&mut *conn)
        .await?;
    if there >= MAX_WATCHES {
        return Err(WatchError::Full);
    }
    let id = moment.id();
    sqlx::query!(
        "insert into watches (id, team_id, integration_id, kind, text, community, next_poll_at, created_by, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $7)",
        id,
        team_id,
        integration.id,
        new.kind.as_str(),
        text,
        community,
        moment.now,
        by,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "after": { "kind": new.kind, "name": text, "community": community }, "account": integration.display_name });
    activity::record(conn, moment, team_id, Some(by), Kind::WatchCreated, Subject::Watch(id), payload).await?;
    load(conn, team_id, id).await?.ok_or(WatchError::NotFound("watch"))
}

/// What a person changes; None leaves it as it is. Other words begin anew.
#[derive(Debug, Clone, Default)]
pub struct WatchFields {
    pub active: Option<bool>,
    pub text: Option<String>,
}

pub async fn change(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
    fields: WatchFields,
) -> Result<WatchRow, WatchError> {
    // Waits for a round that is being stored, and the next one sees what stands then.
    sqlx::query_scalar!("select id from watches where id = $1 and team_id = $2 for update", id, team_id)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(WatchError::NotFound("watch"))?;
    let before = load(conn, team_id, id).await?.ok_or(WatchError::NotFound("watch"))?;
    let text = match &fields.text {
        Some(text) => checked(before.kind(), text, before.community.as_deref())?.0,
        None => before.text.clone(),
    };
    let active = fields.active.unwrap_or(before.active);
    if text == before.text && active == before.active {
        return Ok(before);
    }
    let anew = text != before.text;
    sqlx::query!(
        "update watches
         set active = $3, text = $4, cursor = case when $5 then 'null'::jsonb else cursor end, last_problem = null,
             next_poll_at = $6, updated_at = $6
         where id = $1 and team_id = $2",
        id,
        team_id,
        active,
        text,
        anew,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({
        "before": { "name": before.text, "active": before.active }, "after": { "name": text, "active": active },
    });
    activity::record(conn, moment, team_id, Some(by), Kind::WatchChanged, Subject::Watch(id), payload).await?;
    load(conn, team_id, id).await?.ok_or(WatchError::NotFound("watch"))
}

/// Nothing is found by it any more; what it found stays.
pub async fn delete(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
) -> Result<(), WatchError> {
    let gone = sqlx::query_scalar!("delete from watches where id = $1 and team_id = $2 returning text", id, team_id)
        .fetch_optional(&mut *conn)
        .await?;
    let text = gone.ok_or(WatchError::NotFound("watch"))?;
    let payload = json!({ "before": { "name": text } });
    activity::record(conn, moment, team_id, Some(by), Kind::WatchDeleted, Subject::Watch(id), payload).await?;
    Ok(())
}

/// In the adapters' terms.
fn what(kind: WatchKind, text: &str, community: Option<&str>) -> Watch {
    match kind {
        WatchKind::Community => Watch::Community { name: text.to_owned() },
        WatchKind::Keyword => Watch::Keyword { text: text.to_owned(), community: community.map(str::to_owned) },
    }
}

/// Words and community as they are stored.
fn checked(kind: WatchKind, text: &str, community: Option<&str>) -> Result<(String, Option<String>), WatchError> {
    let community = community.map(str::trim).filter(|name| !name.is_empty());
    match kind {
        WatchKind::Community if community.is_some() => {
            wrong("community", "belongs to a keyword; a community is named in `text`")
        }
        WatchKind::Community => Ok((community_name("text", text)?, None)),
        WatchKind::Keyword => {
            let words = normalise::line(text, normalise::MAX_CHARS);
            let length = words.chars().count();
            if !(2..=KEYWORD_CHARS).contains(&length) {
                return wrong("text", format!("must have 2 to {KEYWORD_CHARS} characters, has {length}"));
            }
            let community = community.map(|name| community_name("community", name)).transpose()?;
            Ok((words, community))
        }
    }
}

/// Without "r/" before it.
fn community_name(field: &'static str, name: &str) -> Result<String, WatchError> {
    let name = name.trim().trim_start_matches('/');
    let name = name.strip_prefix("r/").or_else(|| name.strip_prefix("R/")).unwrap_or(name).trim_end_matches('/');
    let fits = (2..=30).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(name.to_owned())
    } else {
        let shown = normalise::line(name, 60);
        wrong(field, format!("`{shown}` is no name of a community; write it like `espresso`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_community_is_named_with_or_without_its_mark_and_nothing_else() {
        for name in ["espresso", "r/espresso", "/r/espresso/", " R/espresso"] {
            assert_eq!(checked(WatchKind::Community, name, None).unwrap(), ("espresso".to_owned(), None), "{name}");
        }
        for name in ["", "a", "r/", "a b", "https://reddit.com/r/espresso", "é-spresso", "../x", &"x".repeat(31)] {
            assert!(checked(WatchKind::Community, name, None).is_err(), "{name}");
        }
        assert!(checked(WatchKind::Community, "espresso", Some("coffee")).is_err());
    }

    #[test]
    fn a_keyword_is_words_everywhere_or_in_one_community() {
        let words = checked(WatchKind::Keyword, "  DF64\n grinder ", Some("r/coffee")).unwrap();
        assert_eq!(words, ("DF64 grinder".to_owned(), Some("coffee".to_owned())));
        assert_eq!(checked(WatchKind::Keyword, "DF64", Some(" ")).unwrap().1, None);
        assert!(checked(WatchKind::Keyword, "x", None).is_err());
        assert!(checked(WatchKind::Keyword, &"x".repeat(101), None).is_err());
    }
}
