//! What a run shows in the end.

use super::Args;
use super::approvals::Given;
use super::conductor::Trouble;
use super::verdict::{End, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// Breaches that are told in full.
const SHOWN: usize = 8;

pub(super) fn print(args: &Args, trouble: &Trouble, given: &Given, verdict: &Verdict, drained: Duration) {
    let Trouble { kills, api_kills, stops, held_calls, restarts } = trouble;
    println!(
        "seed {}: {} suggestions over {} accounts and {} teams, {:.0}% of the writes go wrong",
        args.seed,
        args.suggestions,
        args.integrations,
        args.teams,
        args.faults * 100.0
    );
    println!(
        "trouble           {kills} kills ({api_kills} of the API), {stops} workers stopped for {} s ({held_calls} calls in mid-flight), {restarts} Postgres crashes",
        args.stop_secs
    );
    println!("approvals         {} requests had to be made again", given.repeated);
    println!(
        "attempts          {} for {} writes; of unknown outcome {} were found on the platform, {} were not there and went out again",
        verdict.attempts, verdict.writes, verdict.found, verdict.absent
    );
    ends("suggestions", &verdict.ends);
    ends("second of pairs", &verdict.second_ends);
    for (reason, count) in &verdict.reasons {
        println!("    {count:>5} x {}", reason.chars().take(110).collect::<String>());
    }
    println!(
        "replies           {}; at most {} per suggestion, {} per target",
        verdict.replies, verdict.most_per_suggestion, verdict.most_per_target
    );
    println!("posted            {:.1}%", verdict.share_posted * 100.0);
    println!("settled           {:.1} s after the trouble ended", drained.as_secs_f64());
    for breach in verdict.breaches.iter().take(SHOWN) {
        println!("BREACH {breach}");
    }
    match verdict.breaches.len() {
        0 => println!("every promise was kept"),
        all => println!("{all} breaches, {} shown", all.min(SHOWN)),
    }
}

fn ends(what: &str, counts: &BTreeMap<End, usize>) {
    let told: Vec<String> =
        End::ALL.iter().filter_map(|(end, name)| counts.get(end).map(|count| format!("{count} {name}"))).collect();
    if !told.is_empty() {
        println!("{what:<17} {}", told.join(", "));
    }
}
