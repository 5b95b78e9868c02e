//! The id of the request that work belongs to: carried from the request into the jobs that it starts, into log lines and the
//! activity log.

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request or job that this task works for.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs a future under an id.
pub async fn scope<F: Future>(id: String, future: F) -> F::Output {
    CURRENT.scope(id, future).await
}
