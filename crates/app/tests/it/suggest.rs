//! Drafting: asked once, written once, and a person's words always win.

use crate::harness::Harness;
use rejoinder_app::flow::intents::{self, IntentError, IntentFields, VariationFields};
use rejoinder_app::flow::suggest::{self, RequestError};
use rejoinder_app::flow::suggestion::{self, Change, Draft};
use rejoinder_app::model::{GeneratedBy, Stage, Status};
use rejoinder_sandbox::AiFault;
use time::Duration;
use uuid::Uuid;

const READY: (Status, Stage) = (Status::Pending, Stage::Ready);

async fn intent(h: &Harness, name: &str, variation: &str) -> Uuid {
    let (mut conn, moment) = (h.conn().await, h.app.moment());
    let fields = IntentFields { name: Some(name.to_owned()), ..IntentFields::default() };
    let intent = intents::create(&mut conn, &moment, h.team_id, h.user_id, fields).await.unwrap();
    let fields = VariationFields { text: Some(variation.to_owned()), ..VariationFields::default() };
    intents::add_variation(&mut conn, &moment, h.team_id, intent.id, h.user_id, fields).await.unwrap();
    intent.id
}

#[tokio::test]
async fn asking_twice_leads_to_the_same_suggestion_and_one_call_of_the_model() {
    let h = Harness::start().await;
    let (_, item) = h.incoming("Which beans?").await;
    let (first, new) = h.request(h.request_for(&item)).await.unwrap();
    let (second, also_new) = h.request(h.request_for(&item)).await.unwrap();
    assert_eq!((first.id, new, also_new), (second.id, true, false));
    h.run_due().await;
    assert_eq!(h.platform.ai_requests().len(), 1);
    assert_eq!(h.stands(&first).await, READY);
    h.finish().await;
}

#[tokio::test]
async fn an_overloaded_model_is_asked_again() {
    let h = Harness::start().await;
    let (_, item) = h.incoming("Which beans?").await;
    h.platform.plan_ai(vec![AiFault::Status { code: 503 }, AiFault::Garbage, AiFault::Dropped]);
    let asked = h.ask_for_draft(&item).await;
    assert_eq!(h.stands(&asked).await, (Status::Pending, Stage::Drafting));
    h.run_for(Duration::minutes(5)).await;
    let state = h.suggestion(asked.id).await.state;
    assert_eq!((state.status, state.draft.generated_by), (Status::Pending, GeneratedBy::Ai));
    h.finish().await;
}

#[tokio::test]
async fn when_the_model_never_answers_the_template_writes() {
    let h = Harness::start().await;
    intent(&h, "Beans", "Any medium roast will do. Which one do you drink now?").await;
    let (_, item) = h.incoming("Which beans?").await;
    h.platform.plan_ai(vec![AiFault::Status { code: 503 }; 50]);
    let asked = h.ask_for_draft(&item).await;
    h.run_for(Duration::minutes(30)).await;
    let state = h.suggestion(asked.id).await.state;
    assert_eq!((state.status, state.draft.generated_by), (Status::Pending, GeneratedBy::Template));
    assert!(state.text.unwrap().contains("medium roast"));
    h.finish().await;
}

#[tokio::test]
async fn what_the_model_refuses_to_touch_is_left_to_a_person_with_the_reason() {
    for fault in [AiFault::Blocked, AiFault::BlockedAnswer] {
        let h = Harness::start().await;
        intent(&h, "Beans", "Any medium roast will do.").await;
        let (_, item) = h.incoming("Which beans?").await;
        h.platform.plan_ai(vec![fault]);
        let asked = h.ask_for_draft(&item).await;
        assert_eq!(h.stands(&asked).await, (Status::Failed, Stage::Done));
        assert!(h.reason(&asked).await.starts_with("No draft: "), "{}", h.reason(&asked).await);
        regenerate(&h, asked.id).await;
        h.run_due().await;
        assert_eq!(h.stands(&asked).await, READY, "asking again is a person's way on");
        h.finish().await;
    }
}

async fn regenerate(h: &Harness, id: Uuid) {
    let mut tx = h.pool().begin().await.unwrap();
    suggest::regenerate(&mut tx, &h.app.moment(), h.team_id, id, h.user_id).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn without_a_key_the_templates_draft_and_no_model_is_asked() {
    let h = Harness::with(&[("AI_PROVIDER", ""), ("GEMINI_API_KEY", "")]).await;
    intent(&h, "Beans", "Any medium roast will do.").await;
    let (_, item) = h.incoming("Which beans?").await;
    let drafted = h.ask_for_draft(&item).await.state;
    assert_eq!((drafted.status, drafted.draft.generated_by), (Status::Pending, GeneratedBy::Template));
    assert!(h.platform.ai_requests().is_empty());
    h.finish().await;
}

#[tokio::test]
async fn a_new_draft_replaces_the_old_one_which_stays_until_then() {
    let h = Harness::start().await;
    let (_, item) = h.incoming("Which beans?").await;
    let drafted = h.ask_for_draft(&item).await;
    regenerate(&h, drafted.id).await;
    let between = h.suggestion(drafted.id).await.state;
    assert_eq!((between.stage, &between.text), (Stage::Drafting, &drafted.state.text));
    h.platform.plan_ai(vec![AiFault::Blocked]);
    h.run_due().await;
    let state = h.suggestion(drafted.id).await.state;
    assert_eq!((state.stage, &state.text), (Stage::Ready, &drafted.state.text), "the old one stays usable");
    h.finish().await;
}

#[tokio::test]
async fn a_late_result_of_an_older_generation_is_ignored_and_a_persons_words_stay() {
    let h = Harness::start().await;
    let (_, item) = h.incoming("Which beans?").await;
    let drafted = h.ask_for_draft(&item).await;
    let old_generation = drafted.state.generation_id;
    regenerate(&h, drafted.id).await;
    h.run_due().await;
    let fresh = h.suggestion(drafted.id).await;
    deliver(&h, drafted.id, old_generation, "from before").await;
    assert_eq!(h.suggestion(drafted.id).await.state, fresh.state);

    let edited = h.edit(&fresh, "My own words.").await.unwrap();
    deliver(&h, drafted.id, edited.state.generation_id, "the model's words").await;
    let state = h.suggestion(drafted.id).await.state;
    assert_eq!(
        (state.text.as_deref(), state.alternatives),
        (Some("My own words."), vec!["the model's words".to_owned()])
    );
    h.finish().await;
}

async fn deliver(h: &Harness, id: Uuid, generation_id: Uuid, text: &str) {
    let draft = Draft { generated_by: GeneratedBy::Ai, ..h.suggestion(id).await.state.draft };
    let change =
        Change::Drafted { generation_id, draft: Box::new(draft), variations: vec![text.to_owned()], holds: Vec::new() };
    let mut tx = h.pool().begin().await.unwrap();
    suggestion::change(&mut tx, &h.app.moment(), h.team_id, id, None, change).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn nothing_is_drafted_that_could_not_be_posted() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("Which beans?").await;
    let own_post = suggest::Request { comment_id: None, ..h.request_for(&item) };
    assert_eq!(why_not(&h, own_post).await, "own-text");

    let answered = h.write_reply(&item, "Any.").await;
    h.approve(&answered).await.unwrap();
    h.run_due().await;
    assert_eq!(why_not(&h, h.request_for(&item)).await, "already-answered");
    h.advance(Duration::hours(2));
    h.poll().await;
    let own_reply: Uuid = sqlx::query_scalar("select id from comments where own").fetch_one(h.pool()).await.unwrap();
    let to_ourselves = suggest::Request { comment_id: Some(own_reply), ..h.request_for(&item) };
    assert_eq!(why_not(&h, to_ourselves).await, "own-text");

    let (second, second_item) = h.incoming("And which water?").await;
    h.platform.add_comment("other_cat", &second, "Good question");
    h.platform.delete_comment(&second);
    h.advance(Duration::hours(2));
    h.poll().await;
    assert_eq!(why_not(&h, h.request_for(&second_item)).await, "gone");
    let (_, third) = h.incoming("Still there?").await;
    h.platform.lock_post(&h.post);
    h.poll().await;
    assert_eq!(why_not(&h, h.request_for(&third)).await, "locked");
    assert!(h.platform.ai_requests().is_empty());
    assert_eq!(h.our_texts(&comment), ["Any."]);
    h.finish().await;
}

async fn why_not(h: &Harness, request: suggest::Request) -> &'static str {
    match h.request(request).await {
        Err(RequestError::NotEligible { code, .. }) => code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn intents_have_unique_names_limits_and_a_history() {
    let h = Harness::start().await;
    let id = intent(&h, "Beans", "Any medium roast will do.").await;
    let (mut conn, moment) = (h.conn().await, h.app.moment());
    let named = |name: &str| IntentFields { name: Some(name.to_owned()), ..IntentFields::default() };
    let taken = intents::create(&mut conn, &moment, h.team_id, h.user_id, named("BEANS")).await;
    assert!(matches!(taken, Err(IntentError::NameTaken)), "{taken:?}");
    for wrong in [
        named(" "),
        named(&"x".repeat(81)),
        IntentFields { tone: Some("angry".to_owned()), ..named("a") },
        IntentFields { confidence_threshold: Some(1.1), ..named("b") },
        IntentFields { confidence_threshold: Some(f64::NAN), ..named("c") },
        IntentFields { brand_voice: Some("x".repeat(4_001)), ..named("d") },
    ] {
        let refused = intents::create(&mut conn, &moment, h.team_id, h.user_id, wrong).await;
        assert!(matches!(refused, Err(IntentError::Field { .. })), "{refused:?}");
    }
    let long = VariationFields { text: Some("ä".repeat(281)), ..VariationFields::default() };
    let refused = intents::add_variation(&mut conn, &moment, h.team_id, id, h.user_id, long).await;
    assert!(matches!(refused, Err(IntentError::Field { field: "text", .. })), "{refused:?}");
    let longest = VariationFields { text: Some("ä".repeat(280)), ..VariationFields::default() };
    intents::add_variation(&mut conn, &moment, h.team_id, id, h.user_id, longest).await.unwrap();
    intents::update(&mut conn, &moment, h.team_id, id, h.user_id, named("Coffee")).await.unwrap();
    let foreign = intents::update(&mut conn, &moment, moment.id(), id, h.user_id, named("Stolen")).await;
    assert!(matches!(foreign, Err(IntentError::NotFound)), "{foreign:?}");
    intents::delete(&mut conn, &moment, h.team_id, id, h.user_id).await.unwrap();
    intents::create(&mut conn, &moment, h.team_id, h.user_id, named("coffee")).await.unwrap();
    drop(conn);
    let story = h.story(id).await;
    assert_eq!(story, ["intent.created", "variation.created", "variation.created", "intent.changed", "intent.deleted"]);
    h.finish().await;
}
