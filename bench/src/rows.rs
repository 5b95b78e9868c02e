//! What the database says about suggestions and attempts.

use anyhow::Result;
use rejoinder_app::clock::Clock;
use sqlx::PgPool;
use sqlx::types::Json;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

const LOOK_EVERY: Duration = Duration::from_millis(250);
const SPEAK_EVERY: Duration = Duration::from_secs(10);
/// What waits longer than this waits for a person: the server itself looks again after a minute at most.
const FOR_A_PERSON: time::Duration = time::Duration::minutes(10);

#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub status: String,
    pub stage: String,
    pub stage_reason: Option<String>,
    pub held_reasons: Json<Vec<String>>,
    pub text: Option<String>,
    pub version: i32,
    pub send_after: Option<OffsetDateTime>,
    pub approved_by: Option<Uuid>,
    pub platform_reply_id: Option<String>,
    /// Nobody but a person looks at it any more.
    pub for_a_person: bool,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Attempt {
    pub suggestion_id: Uuid,
    pub number: i32,
    pub worker_id: Uuid,
    pub armed_at: OffsetDateTime,
    pub outcome: String,
    pub reason: Option<String>,
    pub absent_reads: i32,
    pub call_ended_at: Option<OffsetDateTime>,
    pub integration_id: Uuid,
}

pub async fn suggestions(pool: &PgPool) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select id, status, stage, stage_reason, held_reasons, text, version, send_after, approved_by, platform_reply_id,
                stage = 'uncertain' and coalesce(send_after > $1, true) as for_a_person
         from suggestions",
    )
    .bind(Clock::System.now() + FOR_A_PERSON)
    .fetch_all(pool)
    .await
}

pub async fn attempts(pool: &PgPool) -> Result<Vec<Attempt>, sqlx::Error> {
    sqlx::query_as(
        "select suggestion_id, number, worker_id, armed_at, outcome, reason, absent_reads,
                call_ended_at, integration_id
         from send_attempts order by suggestion_id, number",
    )
    .fetch_all(pool)
    .await
}

/// Waits until nothing is on its way any more. Returns how many still are when the time is over.
pub async fn until_settled(pool: &PgPool, limit: Duration) -> usize {
    let deadline = Instant::now() + limit;
    let mut spoke = Instant::now();
    loop {
        // The pool may hold a connection that a crash has cut.
        let rows = suggestions(pool).await.ok();
        let on_their_way: Option<Vec<Row>> = rows.map(|rows| rows.into_iter().filter(Row::on_its_way).collect());
        let left = on_their_way.as_ref().map_or(usize::MAX, Vec::len);
        if left == 0 || Instant::now() >= deadline {
            return left;
        }
        if spoke.elapsed() >= SPEAK_EVERY {
            spoke = Instant::now();
            let waits = |row: &Row| {
                format!("{} {} ({})", row.id, row.stage, row.stage_reason.as_deref().unwrap_or("no reason"))
            };
            let some: Vec<String> = on_their_way.iter().flatten().take(3).map(waits).collect();
            eprintln!("        {left} on their way: {}", some.join("; "));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Row {
    pub fn on_its_way(&self) -> bool {
        self.status == "approved" && !self.for_a_person
    }
}

/// So many are posted.
pub async fn posted(pool: &PgPool) -> Result<usize> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from suggestions where status = 'posted'").fetch_one(pool).await?;
    Ok(usize::try_from(count)?)
}

/// The job of a suggestion as the queue holds it, with its serial queue; for whoever asks why nothing goes on.
pub async fn job_of(pool: &PgPool, id: Uuid) -> Result<String, sqlx::Error> {
    let job: Option<String> = sqlx::query_scalar(
        "select format('attempt %s of %s, due %s, locked %s by %s, queue %s locked %s by %s, %s', j.attempts, j.max_attempts, j.run_at,
                       j.locked_at, j.locked_by, q.queue_name, q.locked_at, q.locked_by, j.last_error)
         from graphile_worker._private_jobs j left join graphile_worker._private_job_queues q on q.id = j.job_queue_id
         where j.key = $1",
    )
    .bind(format!("send:{id}"))
    .fetch_optional(pool)
    .await?;
    Ok(job.unwrap_or_else(|| "none".to_owned()))
}
