//! What really stands on the platform, against what the world asked for.

use crate::world::World;
use anyhow::{Result, bail};
use rejoinder_sandbox::{CommentView, Control};
use std::collections::HashMap;

/// All replies of our accounts, by what they answer.
pub fn replies(platform: &Control, world: &World) -> HashMap<String, Vec<CommentView>> {
    let mut found: HashMap<String, Vec<CommentView>> = HashMap::new();
    for reply in world.accounts.iter().flat_map(|account| platform.comments_by(&account.name)) {
        found.entry(reply.parent.clone()).or_default().push(reply);
    }
    found
}

/// Each suggestion has exactly one reply, of its account and with its text, and nothing else was written. Returns how many there are.
pub fn exactly_one_each(platform: &Control, world: &World) -> Result<usize> {
    let mut found = replies(platform, world);
    let count = found.values().map(Vec::len).sum();
    for suggestion in &world.suggestions {
        let there = found.remove(&suggestion.target).unwrap_or_default();
        let account = &world.account_of(suggestion).name;
        if there.len() != 1 || there[0].text != suggestion.text || there[0].author != *account {
            bail!(
                "under {} stand {} replies of ours instead of the one of {account}: {there:?}",
                suggestion.target,
                there.len()
            );
        }
    }
    if let Some((target, _)) = found.into_iter().next() {
        bail!("a reply of ours stands under {target}, which nobody asked for");
    }
    Ok(count)
}
