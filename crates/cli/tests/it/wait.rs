//! Waiting for another process: asks again and again until the deadline. Nothing here hides a failure: what never comes is red.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// The first answer that is there. Panics with `what` when the time is over.
pub async fn until<T>(what: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for code that is not async. None when the time is over.
pub fn until_blocking<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
