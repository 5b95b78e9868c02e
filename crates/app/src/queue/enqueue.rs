//! Adding and removing jobs, always on the caller's connection: pass a transaction and the job commits with the state
//! that asked for it.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::Job;
use super::envelope::Envelope;

/// A job in the form in which the engine takes it.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    payload: String,
    queue: Option<String>,
    max_attempts: i16,
    pub(super) key: Option<String>,
    priority: i16,
}

impl Spec {
    pub(super) fn of<S, J>(job: &J, request_id: Option<&str>) -> Result<Self, sqlx::Error>
    where
        S: Clone + Send + Sync + 'static,
        J: Job<S>,
    {
        let fields = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        Ok(Self {
            name: J::NAME,
            payload: Envelope::new(fields, request_id).encode(),
            queue: job.serial_queue(),
            max_attempts: J::MAX_ATTEMPTS,
            key: job.key(),
            priority: J::PRIORITY,
        })
    }

    /// The queue's own upkeep: no fields.
    pub(super) fn of_queue(name: &'static str) -> Self {
        Self {
            name,
            payload: Envelope::new(serde_json::Value::Null, None).encode(),
            queue: None,
            max_attempts: 3,
            key: None,
            priority: 0,
        }
    }
}

/// Adds a job that is due at `at`; gives its id.
///
/// With a key: a waiting job of that key is replaced (payload, time and attempts); a running one finishes but is not
/// tried again, and this one comes after it.
pub async fn enqueue<S, J>(
    conn: &mut PgConnection,
    job: &J,
    at: OffsetDateTime,
    request_id: Option<&str>,
) -> Result<i64, sqlx::Error>
where
    S: Clone + Send + Sync + 'static,
    J: Job<S>,
{
    add(conn, &Spec::of::<S, J>(job, request_id)?, at).await
}

/// Adds a job unless one with its key is waiting or running; `None` = there was one, which stays as it is.
/// A job that ended as failed does not count. A job without a key is always added.
pub async fn enqueue_if_absent<S, J>(
    conn: &mut PgConnection,
    job: &J,
    at: OffsetDateTime,
    request_id: Option<&str>,
) -> Result<Option<i64>, sqlx::Error>
where
    S: Clone + Send + Sync + 'static,
    J: Job<S>,
{
    add_if_absent(conn, &Spec::of::<S, J>(job, request_id)?, at).await
}

/// Adds many jobs of one kind in one round trip; gives their keys and ids. Of jobs that share a key the last one counts.
pub async fn enqueue_many<S, J>(
    conn: &mut PgConnection,
    jobs: &[J],
    at: OffsetDateTime,
    request_id: Option<&str>,
) -> Result<Vec<(Option<String>, i64)>, sqlx::Error>
where
    S: Clone + Send + Sync + 'static,
    J: Job<S>,
{
    let mut specs = Vec::with_capacity(jobs.len());
    let mut place_of_key = HashMap::new();
    for job in jobs {
        let spec = Spec::of::<S, J>(job, request_id)?;
        // The engine's upsert cannot touch one row twice.
        match spec.key.clone().and_then(|key| place_of_key.insert(key, specs.len())) {
            Some(earlier) => {
                place_of_key.insert(spec.key.clone().unwrap_or_default(), earlier);
                specs[earlier] = spec;
            }
            None => specs.push(spec),
        }
    }
    add_all(conn, &specs, at).await
}

/// Takes back the job of this key. `true`: it waited and is gone. A running one finishes but is not tried again.
pub async fn remove(conn: &mut PgConnection, key: &str) -> Result<bool, sqlx::Error> {
    let (was_waiting,): (bool,) = sqlx::query_as(
        "with before as materialized (
           select exists (select from graphile_worker._private_jobs where key = $1 and locked_at is null) as waiting
         )
         select before.waiting from before, lateral (select graphile_worker.remove_job($1)) as removed",
    )
    .bind(key)
    .fetch_one(conn)
    .await?;
    Ok(was_waiting)
}

async fn add(conn: &mut PgConnection, spec: &Spec, at: OffsetDateTime) -> Result<i64, sqlx::Error> {
    let (id,): (i64,) = sqlx::query_as(
        "select id from graphile_worker.add_job(
           $1, $2::text::json,
           queue_name => $3, run_at => $4, max_attempts => $5::int, job_key => $6, priority => $7::int)",
    )
    .bind(spec.name)
    .bind(&spec.payload)
    .bind(&spec.queue)
    .bind(at)
    .bind(i32::from(spec.max_attempts))
    .bind(&spec.key)
    .bind(i32::from(spec.priority))
    .fetch_one(conn)
    .await?;
    Ok(id)
}

pub(super) async fn add_if_absent(
    conn: &mut PgConnection,
    spec: &Spec,
    at: OffsetDateTime,
) -> Result<Option<i64>, sqlx::Error> {
    if let Some(key) = &spec.key {
        // The lock that the engine's add_job takes: two adders of one key see each other.
        sqlx::query("select pg_advisory_xact_lock(hashtext($1))").bind(key).execute(&mut *conn).await?;
        let taken: Option<(i64,)> = sqlx::query_as(
            "select id from graphile_worker._private_jobs
             where key = $1 and (locked_at is not null or attempts < max_attempts)",
        )
        .bind(key)
        .fetch_optional(&mut *conn)
        .await?;
        if taken.is_some() {
            return Ok(None);
        }
    }
    add(conn, spec, at).await.map(Some)
}

async fn add_all(
    conn: &mut PgConnection,
    specs: &[Spec],
    at: OffsetDateTime,
) -> Result<Vec<(Option<String>, i64)>, sqlx::Error> {
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(
        "select key, id from graphile_worker.add_jobs(array(
           select row(name, payload::json, queue, $6, max_attempts, key, priority, null)::graphile_worker.job_spec
           from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $7::int[])
             as job (name, payload, queue, max_attempts, key, priority)))",
    )
    .bind(specs.iter().map(|spec| spec.name).collect::<Vec<_>>())
    .bind(specs.iter().map(|spec| spec.payload.as_str()).collect::<Vec<_>>())
    .bind(specs.iter().map(|spec| spec.queue.as_deref()).collect::<Vec<_>>())
    .bind(specs.iter().map(|spec| i32::from(spec.max_attempts)).collect::<Vec<_>>())
    .bind(specs.iter().map(|spec| spec.key.as_deref()).collect::<Vec<_>>())
    .bind(at)
    .bind(specs.iter().map(|spec| i32::from(spec.priority)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}
