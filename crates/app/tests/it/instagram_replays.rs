//! Webhooks of Instagram that come late or are played back: nothing that is over begins again.

use crate::instagram::connected;
use crate::instagram_webhooks::{change, comment, count, delivered, outcomes};
use rejoinder_app::flow::ingest::StandingSweep;
use rejoinder_app::jobs;
use time::Duration;

#[tokio::test]
async fn what_is_gone_does_not_come_back_with_a_late_event() {
    let (h, media) = connected().await;
    let (id, value) = comment(&h, &media, "Forget this");
    h.poll().await;
    h.platform.instagram_delete(&id);
    h.advance(Duration::hours(4));
    let sweep = StandingSweep { integration_id: h.integration_id };
    jobs::enqueue(&mut *h.conn().await, &sweep, h.now()).await.unwrap();
    h.run_due().await;
    assert_ne!(h.item_of(&id).await.unwrap().state, "open");
    delivered(&h, &change(&h, &value)).await;
    h.run_due().await;
    assert_eq!(outcomes(&h).await, [Some("nothing to do: it is gone".to_owned())]);
    assert_eq!(count(&h, "comments where text like '%Forget%' or deleted_at is null").await, 0);
    h.finish().await;
}

#[tokio::test]
async fn a_replay_that_hides_its_age_opens_no_item() {
    let (h, media) = connected().await;
    let (id, value) = comment(&h, &media, "Weeks ago");
    h.advance(Duration::days(30));
    let mut replay = change(&h, &value);
    replay["entry"][0].as_object_mut().unwrap().remove("time");
    // Without its time the comment is read, and says itself how old it is.
    delivered(&h, &replay).await;
    h.run_due().await;
    assert_eq!(outcomes(&h).await, [Some("stored".to_owned())]);
    assert_eq!((h.items().await.len(), count(&h, "suggestions").await), (0, 0), "{id} is context");
    h.finish().await;
}
