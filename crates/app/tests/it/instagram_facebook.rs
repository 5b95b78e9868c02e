//! Instagram through Facebook Login: the person shares Pages, one account is connected, and every call shows that the app's secret is here.

use crate::client::Client;
use crate::harness::Harness;
use crate::instagram::{BRAND, approved, our_texts, stranger, world};
use crate::pages::Browser;
use rejoinder_app::accounts::connect::{self, Arrived, ConnectError};
use rejoinder_app::model::Status;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::HashMap;
use time::Duration;

const SCOPES: &str =
    "instagram_basic,instagram_manage_comments,pages_show_list,pages_read_engagement,pages_manage_metadata";

/// The way back from Facebook's consent page for who shares these Pages. `granted`: what was left ticked.
async fn way_back(h: &Harness, pages: &[String], granted: Option<&str>) -> connect::Callback {
    let whose = (h.team_id, h.user_id);
    let by = ("instagram", Some("facebook"));
    let page = connect::start_by(&h.app, &h.app.moment(), whose, by, None).await.unwrap();
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!(page.path(), "/facebook/v25.0/dialog/oauth");
    assert_eq!((asked["response_type"].as_str(), asked["scope"].as_str()), ("code", SCOPES));
    let code = h.platform.facebook_code(pages, &asked["redirect_uri"], granted.unwrap_or(SCOPES));
    connect::Callback { state: asked["state"].clone(), code: Some(code), error: None }
}

async fn consent(h: &Harness, pages: &[String], granted: Option<&str>) -> Result<Arrived, ConnectError> {
    let callback = way_back(h, pages, granted).await;
    connect::come_back(&h.app, &h.app.moment(), "instagram", Some(h.user_id), callback).await.arrived
}

/// Connected through the brand's only Page.
pub async fn connected(granted: Option<&str>) -> (Harness, String, String) {
    let (mut h, media) = world().await;
    let page = h.platform.facebook_page("Brassfinch Coffee", Some(BRAND));
    match consent(&h, std::slice::from_ref(&page), granted).await {
        Ok(Arrived::Connected(id)) => h.integration_id = id,
        other => panic!("{other:?}"),
    }
    h.run_due().await;
    (h, media, page)
}

#[tokio::test]
async fn an_account_behind_one_page_is_connected_without_a_question_and_answers() {
    let (h, media, _) = connected(None).await;
    let integration = h.integration().await;
    assert_eq!((integration.display_name.as_str(), integration.expires_at), (BRAND, None));
    assert_eq!(integration.platform_account_id, h.platform.instagram_account(BRAND));
    assert_eq!(h.platform.instagram_subscribed(BRAND), ["feed"], "any field of the Page has Instagram's events sent");
    let known: Option<String> =
        sqlx::query_scalar("select app_user_id from webhook_subscriptions").fetch_one(h.pool()).await.unwrap();
    assert_eq!(known.as_deref(), Some("122000000000001"), "callbacks name the person");

    let comment = stranger(&h, &media, "Which setting for a V60?").await;
    approved(&h, &comment, "Start at 24 clicks.").await;
    h.run_due().await;
    assert_eq!(our_texts(&h, &comment), ["Start at 24 clicks."]);
    let asked = h.platform.requests();
    assert!(asked.keys().all(|route| !route.contains("/instagram/")), "{asked:?}");
    h.run_for(Duration::days(70)).await;
    assert_eq!(h.integration().await.state, "connected", "the token of a Page has no end");
    h.finish().await;
}

#[tokio::test]
async fn of_several_pages_the_person_chooses_one() {
    let (h, _) = world().await;
    let pages = [
        h.platform.facebook_page("Brassfinch Coffee", Some(BRAND)),
        h.platform.facebook_page("Brassfinch Roastery", Some("brassfinch.roastery")),
        h.platform.facebook_page("Our football club", None),
    ];
    let ticket = match consent(&h, &pages, None).await {
        Ok(Arrived::Pending(ticket)) => ticket,
        other => panic!("{other:?}"),
    };
    let ticket = ticket.expose_secret();
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let question = format!("/dashboard/accounts?integration=confirm&ticket={ticket}&platform=instagram");
    let page = browser.get(&question).await.html;
    assert!(page.contains("Page Brassfinch Roastery") && page.contains("@brassfinch.roastery"), "{page}");
    assert!(!page.contains("football"), "no account is linked to it");
    let client = Client::signed_in(&h).await;
    let (status, choices) = client.post("/api/integrations/choices", &json!({ "ticket": ticket })).await;
    let names: Vec<_> = choices["accounts"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!((status, names), (200, vec![json!(BRAND), json!("brassfinch.roastery")]));
    for nobody in [json!({ "ticket": ticket }), json!({ "ticket": ticket, "account_id": "17" })] {
        let (status, answer) = client.post("/api/integrations/complete", &nobody).await;
        assert_eq!((status, answer["type"].as_str().unwrap().ends_with("account-not-chosen")), (409, true), "{answer}");
    }
    let roastery = h.platform.instagram_account("brassfinch.roastery");
    let sent = browser.post("/dashboard/accounts/complete", &[("ticket", ticket), ("account_id", &roastery)]).await;
    assert_eq!(sent.location, "/dashboard/accounts?integration=connected&connected=instagram");
    let connected: Vec<String> =
        sqlx::query_scalar("select display_name from integrations").fetch_all(h.pool()).await.unwrap();
    assert_eq!(connected, ["brassfinch.roastery"]);
    let left = "select count(*) from pending_connections where sealed_grant is not null or choices is not null";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(h.pool()).await.unwrap(), 0, "the rest is wiped");
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn who_shares_no_page_with_an_account_is_told_what_to_link() {
    let (h, _) = world().await;
    let without = h.platform.facebook_page("Our football club", None);
    for pages in [vec![], vec![without]] {
        let callback = way_back(&h, &pages, None).await;
        let mut browser = Browser::signed_in(&h, h.user_id).await;
        let back = format!(
            "/api/integrations/instagram/oauth/callback?state={}&code={}",
            callback.state,
            callback.code.as_deref().unwrap()
        );
        let led = browser.get(&back).await.location;
        assert!(led.contains("reason=no_account"), "{led}");
        let page =
            browser.get("/dashboard/accounts?integration=failed&reason=no_account&platform=instagram").await.html;
        assert!(page.contains("no Page that you shared on Facebook") && page.contains("Linked accounts"), "{page}");
    }
    h.finish().await;
}

#[tokio::test]
async fn what_the_person_unticked_is_named() {
    let lacks = consent_without("instagram_basic").await;
    assert!(
        matches!(&lacks, Err(ConnectError::LacksPermission(what)) if what.contains("instagram_basic")),
        "{lacks:?}"
    );
    let lacks = consent_without("pages_show_list").await;
    assert!(
        matches!(&lacks, Err(ConnectError::LacksPermission(what)) if what.contains("pages_show_list")),
        "{lacks:?}"
    );
    let (h, ..) = connected(Some("instagram_basic,pages_show_list,pages_read_engagement")).await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/accounts?integration=connected&connected=instagram").await.html;
    assert!(page.contains("does not hold everything"));
    assert!(page.contains("<code>instagram_manage_comments</code> no comment can be read"), "{page}");
    assert!(page.contains("<code>pages_manage_metadata</code> comments are found at the next look"), "{page}");
    assert!(
        !page.contains("<code>instagram_business_basic</code> no post"),
        "the other way's permissions are not missed"
    );
    h.finish().await;
}

async fn consent_without(scope: &str) -> Result<Arrived, ConnectError> {
    let (h, _) = world().await;
    let page = h.platform.facebook_page("Brassfinch Coffee", Some(BRAND));
    let granted: Vec<&str> = SCOPES.split(',').filter(|one| *one != scope).collect();
    let arrived = consent(&h, &[page], Some(&granted.join(","))).await;
    h.finish().await;
    arrived
}

#[tokio::test]
async fn a_dead_token_of_a_page_names_its_reason_and_leads_back_the_same_way() {
    let (h, media, _) = connected(None).await;
    h.platform.instagram_kill_tokens(458);
    h.platform.instagram_comment("curious_cat", &media, "Hello?");
    h.poll().await;
    let integration = h.integration().await;
    assert_eq!(integration.state, "needs_reconnect");
    assert!(integration.state_reason.as_deref().unwrap().contains("app was removed"), "{:?}", integration.state_reason);
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/accounts").await.html;
    assert!(
        page.contains("name=\"login\" value=\"facebook\"><button class=\"button primary\">Connect Instagram again")
    );
    h.finish().await;
}

#[tokio::test]
async fn a_reply_of_unknown_outcome_is_read_back_by_the_same_way() {
    let (h, media, _) = connected(None).await;
    let comment = stranger(&h, &media, "How fine?").await;
    h.platform.plan_write(vec![rejoinder_sandbox::WriteFault::DoneThenDropped]);
    let suggestion = approved(&h, &comment, "Like table salt.").await;
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.stands(&suggestion).await.0, Status::Posted);
    assert_eq!(our_texts(&h, &comment), ["Like table salt."]);
    h.finish().await;
}

#[tokio::test]
async fn a_way_that_is_not_there_is_refused() {
    let (h, _) = world().await;
    let client = Client::signed_in(&h).await;
    let start = "/api/integrations/instagram/oauth/start";
    let (status, answer) = client.post(start, &json!({ "login": "myspace" })).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (422, Some("login")), "{answer}");
    let (status, answer) = client.post(start, &json!({ "login": "facebook" })).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["redirect_url"].as_str().unwrap().contains("/facebook/v25.0/dialog/oauth"));
    h.finish().await;
}
