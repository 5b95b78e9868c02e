//! Who names the account under a post of theirs is heard and answered there, where the account was connected by Facebook.

use crate::harness::Harness;
use crate::instagram::{BRAND, approved, our_texts};
use crate::instagram_facebook::connected;
use crate::instagram_webhooks::{count, delivered, outcomes};
use rejoinder_app::flow::send::{self, Seen};
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::WriteFault;
use serde_json::{Value, json};
use time::Duration;
use url::Url;

/// A post of somebody else and a comment under it that names the brand.
fn named(h: &Harness) -> (String, String) {
    let media = h.platform.instagram_media("barista.mag", "Grinders of the year");
    let comment = h.platform.instagram_comment("curious_cat", &media, &format!("Is the one by @{BRAND} any good?"));
    (media, comment)
}

async fn told(h: &Harness, value: Value) {
    let account = h.platform.instagram_account(BRAND);
    let change = json!({"field": "mentions", "value": value});
    let entry = json!({"id": account, "time": h.now().unix_timestamp(), "changes": [change]});
    delivered(h, &json!({"object": "instagram", "entry": [entry]})).await;
    h.run_due().await;
}

#[tokio::test]
async fn a_comment_elsewhere_that_names_us_is_answered_there() {
    let (h, ..) = connected(None).await;
    let (media, comment) = named(&h);
    told(&h, json!({"media_id": media, "comment_id": comment})).await;
    let target = format!("mention-{media}-{comment}");
    let item = h.item_of(&target).await.unwrap_or_else(|| panic!("no item"));
    assert_eq!(item.author_handle.as_deref(), Some("curious_cat"));
    assert_eq!(h.items().await.len(), 1, "the post of somebody else is nothing to answer");
    let suggestion = approved(&h, &target, "We think so. Ask us anything.").await;
    h.run_due().await;
    assert_eq!(h.stands(&suggestion).await, (Status::Posted, Stage::Done), "{}", h.reason(&suggestion).await);
    assert_eq!(our_texts(&h, &comment), ["We think so. Ask us anything."]);
    h.run_for(Duration::hours(30)).await;
    assert_eq!(count(&h, "comments where deleted_at is not null").await, 0, "what is looked up again still stands");
    h.finish().await;
}

#[tokio::test]
async fn a_post_whose_caption_names_us_is_answered_and_one_that_is_gone_is_not() {
    let (h, ..) = connected(None).await;
    let media = h.platform.instagram_media("barista.mag", &format!("Thank you @{BRAND}!"));
    told(&h, json!({ "media_id": media })).await;
    let target = format!("mention-{media}");
    let item = h.item_of(&target).await.unwrap();
    assert_eq!(item.author_handle.as_deref(), Some("barista.mag"));
    approved(&h, &target, "Thank you!").await;
    h.run_due().await;
    assert_eq!(our_texts(&h, &media), ["Thank you!"]);

    let (media, comment) = named(&h);
    told(&h, json!({"media_id": media, "comment_id": comment})).await;
    let suggestion = approved(&h, &format!("mention-{media}-{comment}"), "Too late.").await;
    h.platform.instagram_delete(&comment);
    h.run_due().await;
    assert_eq!(h.stands(&suggestion).await.0, Status::Pending, "back to the person");
    assert!(our_texts(&h, &comment).is_empty());
    h.finish().await;
}

#[tokio::test]
async fn under_our_own_post_a_mention_is_a_comment_like_any_other() {
    let (h, media, _) = connected(None).await;
    let comment = h.platform.instagram_comment("curious_cat", &media, &format!("@{BRAND} hello"));
    told(&h, json!({"media_id": media, "comment_id": comment})).await;
    assert!(h.item_of(&comment).await.is_some());
    h.poll().await;
    assert_eq!(h.items().await.len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn an_answer_elsewhere_of_unknown_outcome_is_never_sent_again() {
    let (h, ..) = connected(None).await;
    let (media, comment) = named(&h);
    told(&h, json!({"media_id": media, "comment_id": comment})).await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    let suggestion = approved(&h, &format!("mention-{media}-{comment}"), "We think so.").await;
    h.run_for(Duration::hours(3)).await;
    assert_eq!(h.stands(&suggestion).await, (Status::Approved, Stage::Uncertain));
    assert_eq!(our_texts(&h, &comment), ["We think so."], "once");
    let address = Url::parse("https://www.instagram.com/p/Cabc/c/18000000000000001/").unwrap();
    send::resolve(&h.app, h.decision(&suggestion), Seen::Found(address)).await.unwrap();
    assert_eq!(h.stands(&suggestion).await.0, Status::Posted);
    h.finish().await;
}

#[tokio::test]
async fn by_instagram_login_a_mention_elsewhere_is_not_read() {
    let (h, _) = crate::instagram::connected().await;
    let (media, comment) = named(&h);
    told(&h, json!({"media_id": media, "comment_id": comment})).await;
    assert_eq!(h.items().await.len(), 0);
    assert!(outcomes(&h).await[0].as_ref().unwrap().contains("not read with this kind of login"));
    h.finish().await;
}
