//! Notices: what a team must know without having asked. The only writer of `notices`; called by the stages on their own
//! transaction, so that a notice never stands without its cause and goes with it.
//!
//! Of one kind about one thing a team has at most one notice that is not resolved: raising it again changes its text and nothing
//! else, so a cause that repeats itself fills no list, and what a person dismissed stays dismissed until the cause is gone.
//! Texts are our own words and the words of the team's people; never a stranger's.

use crate::clock::Moment;
use crate::coord::events;
use crate::flow::activity::Subject;
use crate::model::NoticeKind;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is to be said.
#[derive(Debug, Clone)]
pub struct Notice {
    pub kind: NoticeKind,
    pub subject: Subject,
    /// A sentence or two: what happened, why, the next step.
    pub text: String,
}

/// One notice as it stands.
#[derive(Debug, Clone)]
pub struct NoticeRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub kind: String,
    pub subject_kind: String,
    pub subject_id: Uuid,
    pub text: String,
    pub created_at: OffsetDateTime,
    pub resolved_at: Option<OffsetDateTime>,
    pub dismissed_at: Option<OffsetDateTime>,
    pub dismissed_by: Option<Uuid>,
    pub dismissed_by_name: Option<String>,
}

impl NoticeRow {
    pub fn kind(&self) -> NoticeKind {
        self.kind.clone().into()
    }

    /// The cause still stands and nobody has put it aside.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none() && self.dismissed_at.is_none()
    }
}

/// Which notices a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Open,
    /// Resolved or dismissed.
    Past,
    All,
}

/// Tells the team, unless it was told already.
pub async fn raise(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, notice: Notice) -> Result<(), sqlx::Error> {
    let (subject_kind, subject_id) = notice.subject.parts();
    let changed = sqlx::query_scalar!(
        "insert into notices (id, team_id, kind, subject_kind, subject_id, text, created_at) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (team_id, kind, subject_id) where resolved_at is null do update set text = excluded.text
             where notices.text <> excluded.text
         returning id",
        moment.id(),
        team_id,
        notice.kind.as_str(),
        subject_kind,
        subject_id,
        notice.text,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match changed {
        Some(id) => events::notify(conn, team_id, events::Kind::Notice, id).await,
        None => Ok(()),
    }
}

/// The cause is gone.
pub async fn resolve(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    kind: NoticeKind,
    subject_id: Uuid,
) -> Result<(), sqlx::Error> {
    resolve_all(conn, moment, kind, &[(team_id, subject_id)]).await
}

/// The causes are gone: each a team and what its notice is about.
pub async fn resolve_all(
    conn: &mut PgConnection,
    moment: &Moment,
    kind: NoticeKind,
    causes: &[(Uuid, Uuid)],
) -> Result<(), sqlx::Error> {
    if causes.is_empty() {
        return Ok(());
    }
    let (teams, subjects): (Vec<Uuid>, Vec<Uuid>) = causes.iter().copied().unzip();
    let resolved = sqlx::query!(
        "update notices n set resolved_at = $4
         from unnest($1::uuid[], $2::uuid[]) as cause (team_id, subject_id)
         where n.team_id = cause.team_id and n.subject_id = cause.subject_id and n.kind = $3 and n.resolved_at is null
         returning n.team_id, n.id",
        &teams,
        &subjects,
        kind.as_str(),
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    if resolved.is_empty() {
        return Ok(());
    }
    let resolved: Vec<(Uuid, Uuid)> = resolved.into_iter().map(|row| (row.team_id, row.id)).collect();
    events::notify_many(conn, events::Kind::Notice, &resolved).await
}

/// Tells every team something about itself, in one statement however many there are.
pub async fn raise_everywhere(
    conn: &mut PgConnection,
    moment: &Moment,
    kind: NoticeKind,
    text: &str,
) -> Result<(), sqlx::Error> {
    let teams = sqlx::query_scalar!("select id from teams order by id").fetch_all(&mut *conn).await?;
    let ids: Vec<Uuid> = teams.iter().map(|_| moment.id()).collect();
    let told = sqlx::query!(
        "insert into notices (id, team_id, kind, subject_kind, subject_id, text, created_at)
         select id, team_id, $3, 'team', team_id, $4, $5 from unnest($1::uuid[], $2::uuid[]) as told (id, team_id)
         on conflict (team_id, kind, subject_id) where resolved_at is null do update set text = excluded.text
             where notices.text <> excluded.text
         returning team_id, id",
        &ids,
        &teams,
        kind.as_str(),
        text,
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let told: Vec<(Uuid, Uuid)> = told.into_iter().map(|row| (row.team_id, row.id)).collect();
    events::notify_many(conn, events::Kind::Notice, &told).await
}

/// What every team was told is over.
pub async fn resolve_everywhere(conn: &mut PgConnection, moment: &Moment, kind: NoticeKind) -> Result<(), sqlx::Error> {
    let resolved = sqlx::query!(
        "update notices set resolved_at = $2 where kind = $1 and resolved_at is null returning team_id, id",
        kind.as_str(),
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let resolved: Vec<(Uuid, Uuid)> = resolved.into_iter().map(|row| (row.team_id, row.id)).collect();
    events::notify_many(conn, events::Kind::Notice, &resolved).await
}

/// Newest first, from before `(created_at, id)`; at most `limit` rows.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    which: Which,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<NoticeRow>, sqlx::Error> {
    let open = match which {
        Which::Open => Some(true),
        Which::Past => Some(false),
        Which::All => None,
    };
    let (before_at, before_id) = before.unzip();
    sqlx::query_as!(
        NoticeRow,
        r#"select n.id, n.team_id, n.kind, n.subject_kind, n.subject_id, n.text, n.created_at, n.resolved_at, n.dismissed_at,
                  n.dismissed_by, u.name as "dismissed_by_name?"
           from notices n
           left join users u on u.id = n.dismissed_by
           where n.team_id = $1
             and ($2::boolean is null or (n.resolved_at is null and n.dismissed_at is null) = $2)
             and ($3::timestamptz is null or (n.created_at, n.id) < ($3, $4))
           order by n.created_at desc, n.id desc
           limit $5"#,
        team_id,
        open,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<NoticeRow>, sqlx::Error> {
    sqlx::query_as!(
        NoticeRow,
        r#"select n.id, n.team_id, n.kind, n.subject_kind, n.subject_id, n.text, n.created_at, n.resolved_at, n.dismissed_at,
                  n.dismissed_by, u.name as "dismissed_by_name?"
           from notices n
           left join users u on u.id = n.dismissed_by
           where n.id = $1 and n.team_id = $2"#,
        id,
        team_id,
    )
    .fetch_optional(conn)
    .await
}

/// How many stand there that nobody has put aside.
pub async fn count_open(conn: &mut PgConnection, team_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from notices where team_id = $1 and resolved_at is null and dismissed_at is null"#,
        team_id,
    )
    .fetch_one(conn)
    .await
}

/// A person has read it; who was first stays. The cause, where it still stands, is not touched.
pub async fn dismiss(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query!(
        "update notices set dismissed_at = $3, dismissed_by = $4 where id = $1 and team_id = $2 and dismissed_at is null",
        id,
        team_id,
        moment.now,
        by,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 1 {
        events::notify(conn, team_id, events::Kind::Notice, id).await?;
    }
    Ok(())
}
