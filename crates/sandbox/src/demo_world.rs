//! The world of the demo: Brassfinch, an invented maker of espresso machines and grinders, with its community, two
//! others and the people in them, all created within the three days before the start. Texts stand in `demo_world.json`.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;

use crate::world::{NewPost, PreparedComment, Rule, World};

#[derive(Deserialize)]
struct Script {
    brand: String,
    communities: Vec<ScriptCommunity>,
    threads: Vec<ScriptThread>,
    trickle: Vec<ScriptLater>,
    instagram: Vec<ScriptMedia>,
}

/// A post of the brand on Instagram.
#[derive(Deserialize)]
struct ScriptMedia {
    hours_ago: u64,
    caption: String,
    comments: Vec<ScriptComment>,
}

#[derive(Deserialize)]
struct ScriptCommunity {
    name: String,
    title: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct ScriptThread {
    key: String,
    community: String,
    author: String,
    hours_ago: u64,
    title: String,
    body: String,
    comments: Vec<ScriptComment>,
}

#[derive(Deserialize)]
struct ScriptComment {
    author: String,
    /// After the thread began.
    minutes: u64,
    text: String,
    #[serde(default)]
    replies: Vec<ScriptComment>,
}

/// What a stranger will say later, directly under a thread.
#[derive(Deserialize)]
struct ScriptLater {
    thread: String,
    author: String,
    text: String,
}

/// Fills an empty world. The error says where the script is malformed.
pub(crate) fn fill(world: &mut World) -> Result<(), serde_json::Error> {
    let script: Script = serde_json::from_str(include_str!("demo_world.json"))?;
    let now = world.now();
    fill_instagram(world, &script.brand, &script.instagram, now);
    world.ensure_account(&script.brand);
    world.brand = Some(script.brand);
    for community in script.communities {
        let place = world.ensure_community(&community.name);
        world.communities[place].title = community.title;
        world.communities[place].rules = community.rules;
    }
    let mut threads = HashMap::new();
    for thread in script.threads {
        let at = now - Duration::from_secs(thread.hours_ago * 3600);
        let fullname = world.add_post(NewPost {
            author: &thread.author,
            community: &thread.community,
            title: &thread.title,
            body: &thread.body,
            at,
        });
        add_comments(world, &fullname, at, now, &thread.comments);
        threads.insert(thread.key, fullname);
    }
    fill_x(world, now);
    world.prepared = script
        .trickle
        .into_iter()
        .filter_map(|later| {
            let parent = threads.get(&later.thread)?.clone();
            Some(PreparedComment { author: later.author, parent, text: later.text })
        })
        .collect();
    Ok(())
}

/// The brand on X: a post with answers, a mention, and one that speaks of it without asking for it.
fn fill_x(world: &mut World, now: OffsetDateTime) {
    let brand = world.brand.clone().unwrap_or_default();
    let ago = |hours: u64| now - Duration::from_secs(hours * 3600);
    let mut say = |name: &str, text: &str, answers: Option<u64>, hours: u64| {
        let author = world.x.ensure_user(name);
        world.x.add(author, text, answers, None, ago(hours))
    };
    let news = say(&brand, "The Brassfinch Mk II ships on Monday. Ask us anything about it.", None, 30);
    let first = say("maren_pulls", "Does the Mk II still take the 58 mm baskets of the first one?", Some(news), 26);
    say("tobi_brews", "Mine did with the old ones, I tried it at the fair.", Some(first), 20);
    say("latte_lars", &format!("@{brand} my grinder squeaks since the last cleaning. Is that normal?"), None, 9);
    say("kaffee_kim", "Anybody here with a Brassfinch? Is it worth the wait?", None, 5);
    world.x.prepared = vec![
        ("nina_nitro".to_owned(), "How loud is it in the morning? Asking for my neighbours.".to_owned(), Some(news)),
        ("oleg_ristretto".to_owned(), format!("@{brand} where can I get a spare portafilter in Riga?"), None),
    ];
}

fn add_comments(world: &mut World, parent: &str, start: OffsetDateTime, now: OffsetDateTime, all: &[ScriptComment]) {
    for comment in all {
        let at = (start + Duration::from_secs(comment.minutes * 60)).min(now);
        if let Some(fullname) = world.add_comment(&comment.author, parent, &comment.text, at) {
            add_comments(world, &fullname, start, now, &comment.replies);
        }
    }
}

/// Two levels: an answer to an answer is one to the comment above both.
fn fill_instagram(world: &mut World, brand: &str, media: &[ScriptMedia], now: OffsetDateTime) {
    world.instagram.brand = Some(brand.to_owned());
    world.instagram.ensure_account(brand);
    world.instagram.add_page("Brassfinch Coffee", Some(brand));
    world.instagram.add_page("Brassfinch Roastery", Some("brassfinch.roastery"));
    for post in media {
        let at = now - Duration::from_secs(post.hours_ago * 3600);
        let id = world.instagram.add_media(brand, &post.caption, at);
        for comment in &post.comments {
            let when = |minutes: u64| (at + Duration::from_secs(minutes * 60)).min(now);
            let made = world.instagram.add_comment(&comment.author, &id, &comment.text, when(comment.minutes));
            for reply in &comment.replies {
                let target = made.as_deref().unwrap_or(&id);
                world.instagram.add_comment(&reply.author, target, &reply.text, when(reply.minutes));
            }
        }
    }
}
