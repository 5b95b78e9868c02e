//! What strangers say on the simulated Reddit.

use super::{Day, STEP};
use time::{Duration, OffsetDateTime};

pub struct Brand {
    pub name: String,
    pub threads: Vec<Thread>,
    /// Texts an hour.
    pub busy: f64,
}

pub struct Thread {
    pub post: String,
    pub created_at: OffsetDateTime,
    /// What a stranger said last.
    pub last: Option<(String, OffsetDateTime)>,
}

impl Day {
    /// What strangers say in this step; now and then one takes back what was said before.
    pub fn speak(&mut self, now: OffsetDateTime) {
        self.there.set(now);
        for at in 0..self.accounts.len() {
            let chance = self.accounts[at].busy * STEP.as_seconds_f64() / 3_600.0;
            if self.rng.below(1_000_000) as f64 >= chance * 1_000_000.0 {
                continue;
            }
            let (comment, kind) = self.say(at, now);
            self.said.insert(comment.clone(), (now, kind));
            if self.rng.below(20) == 0 {
                self.deleted.push(comment);
            }
        }
    }

    /// Mostly under what was posted last; now and then to others there, under an old post, or in a thread of others.
    fn say(&mut self, at: usize, now: OffsetDateTime) -> (String, &'static str) {
        let (place, direct) = (self.rng.below(100), self.rng.below(100) < 70);
        let text = format!("What about {}?", self.rng.below(1_000_000));
        let brand = &mut self.accounts[at];
        if place < 10 {
            let text = format!("{text} Ask u/{}.", brand.name);
            return (self.platform.add_comment("curious_cat", &self.others_post, &text), "said elsewhere");
        }
        let count = brand.threads.len();
        let back = self.rng.below(if place < 80 { 3.min(count) } else { count });
        let thread = &mut brand.threads[count - 1 - back];
        let last = thread.last.take();
        let quiet = now - last.as_ref().map_or(thread.created_at, |(_, at)| *at);
        let to_another = last.filter(|_| !direct);
        let kind = match to_another.is_some() {
            _ if quiet < Duration::hours(2) => "said where people talk",
            false => "said to us, quiet thread",
            true if quiet < Duration::days(30) => "said to others, quiet",
            true => "said to others, 30 d quiet",
        };
        let parent = to_another.map_or_else(|| thread.post.clone(), |(comment, _)| comment);
        let comment = self.platform.add_comment("curious_cat", &parent, &text);
        thread.last = Some((comment.clone(), now));
        (comment, kind)
    }
}
