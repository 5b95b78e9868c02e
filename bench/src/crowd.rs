//! People who approve, many at once.

use crate::api::Api;
use crate::world::World;
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

/// Approves everything over so many connections; returns how long that took, in seconds.
pub async fn approve_all(base: String, world: Arc<World>, connections: usize) -> Result<f64> {
    let began = Instant::now();
    let (api, next) = (Api::new(base)?, Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..connections {
        let (api, next, world) = (api.clone(), next.clone(), world.clone());
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(suggestion) = world.suggestions.get(number) else { return Ok(()) };
                let answer = api.approve(world.session_for(suggestion, number), suggestion.id).await?;
                if answer.status != 200 {
                    bail!("an approval was answered {}: {}", answer.status, answer.detail());
                }
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(began.elapsed().as_secs_f64())
}
