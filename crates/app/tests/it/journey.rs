//! From an event on the platform to one public reply, and the log that proves it.

use crate::harness::Harness;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::WriteFault;
use sqlx::AssertSqlSafe;
use time::Duration;

#[tokio::test]
async fn a_comment_becomes_one_edited_and_approved_reply_and_the_log_tells_it() {
    let mut h = Harness::unconnected(&[]).await;
    h.connect_by_consent().await;
    let comment = h.stranger_comments("Which setting for a V60?");
    h.run_due().await;

    let item = h.item_of(&comment).await.expect("the first poll follows from connecting");
    let draft = h.ask_for_draft(&item).await;
    let state = &draft.state;
    assert_eq!((state.status, state.stage), (Status::Pending, Stage::Ready), "{:?}", state.stage_reason);
    let edited = h.edit(&draft, "Start at 24 clicks and go from there.").await.unwrap();
    let approved = h.approve(&edited).await.unwrap();
    assert!(h.our_texts(&comment).is_empty(), "nothing is sent before its job runs");
    h.run_due().await;

    assert_eq!(h.our_texts(&comment), ["Start at 24 clicks and go from there."]);
    let posted = h.suggestion(approved.id).await.state;
    assert_eq!(posted.status, Status::Posted);
    assert_eq!(posted.platform_reply_id.as_deref(), Some(h.replies_under(&comment)[0].fullname.as_str()));
    assert_eq!(h.item_of(&comment).await.unwrap().state, "done");
    let story = h.story(approved.id).await;
    assert_eq!(
        story,
        [
            "suggestion.requested",
            "suggestion.drafted",
            "suggestion.edited",
            "suggestion.approved",
            "suggestion.claimed",
            "reply.armed",
            "reply.posted",
            "reply.exchange",
        ]
    );
    let log = h.activity().await;
    let exchange = log.iter().find(|row| row.kind == "reply.exchange").unwrap();
    assert_eq!(exchange.payload["status"], 200);
    assert_eq!(exchange.payload["request"]["thing_id"], comment.as_str());
    assert_eq!(exchange.payload["answer"]["things"][0], posted.platform_reply_id.unwrap().as_str());
    h.finish().await;
}

#[tokio::test]
async fn no_token_and_no_strangers_text_stands_where_it_may_not() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("xyzzy-words-of-a-stranger").await;
    let draft = h.ask_for_draft(&item).await;
    h.platform.plan_write(vec![WriteFault::RateLimited { secs: 30 }]);
    h.approve(&draft).await.unwrap();
    h.run_for(Duration::minutes(1)).await;
    assert_eq!(h.our_texts(&comment).len(), 1);

    let issued = &h.issued[0];
    for secret in [Some(&issued.access_token), issued.refresh_token.as_ref(), Some(&"sandbox-secret".to_owned())] {
        assert_eq!(tables_with(&h, secret.unwrap()).await, [""; 0], "a secret stands in the open");
    }
    let where_it_may = tables_with(&h, "xyzzy-words-of-a-stranger").await;
    assert_eq!(where_it_may, ["comments"]);
    h.finish().await;
}

/// Every table whose rows show this text, also as bytes.
async fn tables_with(h: &Harness, text: &str) -> Vec<String> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname), c.relname::text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') order by 1",
    )
    .fetch_all(h.pool())
    .await
    .unwrap();
    assert!(tables.len() > 20);
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for (table, name) in tables {
        let query = format!("select count(*) from {table} t where t::text like $1 or t::text like $2");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(format!("%{text}%"))
            .bind(format!("%{hex}%"))
            .fetch_one(h.pool())
            .await
            .unwrap();
        found.extend((rows > 0).then_some(name));
    }
    found
}
