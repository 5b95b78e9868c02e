//! Teams themselves: who makes one, its name, its owner.

use crate::client::{Client, person};
use crate::harness::Harness;
use rejoinder_app::model::Role;
use serde_json::{Value, json};
use time::Duration;

fn path(h: &Harness) -> String {
    format!("/api/teams/{}", h.team_id)
}

fn code(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
}

#[tokio::test]
async fn every_member_sees_the_team_an_admin_renames_it_and_others_find_nothing() {
    let h = Harness::unconnected(&[]).await;
    let (admin, viewer) = (Client::signed_in(&h).await, Client::with_role(&h, Role::Viewer).await);
    let (status, team) = viewer.get(&path(&h)).await;
    assert_eq!((status, &team["name"], &team["role"]), (200, &json!("Brassfinch"), &json!("viewer")));
    assert_eq!(team["owner_user_id"], json!(h.user_id));
    let (status, told) = viewer.patch(&path(&h), &json!({ "name": "Mine" })).await;
    assert_eq!(status, 403);
    assert!(told["detail"].as_str().unwrap().contains("the role admin; yours in this team is viewer"), "{told}");
    let (status, team) = admin.patch(&path(&h), &json!({ "name": "  Brass \n finch " })).await;
    assert_eq!((status, &team["name"]), (200, &json!("Brass finch")));
    for name in ["", "\u{200b}", &"x".repeat(101)] {
        let (status, told) = admin.patch(&path(&h), &json!({ "name": name })).await;
        assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("name")), "{told}");
    }
    let stranger = Client::stranger(&h).await;
    assert_eq!(stranger.get(&path(&h)).await.0, 404);
    assert_eq!(stranger.patch(&path(&h), &json!({ "name": "Mine" })).await.0, 404);
    assert_eq!(h.story(h.team_id).await, ["team.renamed"], "only what changed something is a line");
    h.finish().await;
}

#[tokio::test]
async fn where_people_come_by_invitation_only_an_admin_makes_another_team() {
    let h = Harness::unconnected(&[]).await;
    let body = json!({ "name": "Second" });
    let nobody = Client::of(&h, person(&h, "nobody").await).await;
    for client in [&nobody, &Client::with_role(&h, Role::Editor).await] {
        let (status, told) = client.post("/api/teams", &body).await;
        assert_eq!((status, code(&told)), (403, "forbidden"), "{told}");
    }
    h.advance(Duration::seconds(1));
    let admin = Client::signed_in(&h).await;
    let (status, made) = admin.post("/api/teams", &body).await;
    assert_eq!((status, &made["role"]), (201, &json!("admin")), "{made}");
    let (_, me) = admin.get("/api/me").await;
    let teams: Vec<&Value> = me["teams"].as_array().unwrap().iter().map(|team| &team["name"]).collect();
    assert_eq!(teams, ["Brassfinch", "Second"]);
    let settings = admin.get(&format!("/api/teams/{}/settings", made["id"].as_str().unwrap())).await;
    assert_eq!(settings.0, 200, "a team has its settings from the start");
    for n in 3..=20 {
        assert_eq!(admin.post("/api/teams", &json!({ "name": format!("Team {n}") })).await.0, 201);
    }
    let (status, told) = admin.post("/api/teams", &body).await;
    assert_eq!((status, code(&told)), (409, "full"), "{told}");
    h.finish().await;
}

#[tokio::test]
async fn on_an_open_server_anybody_makes_a_team() {
    let h = Harness::unconnected(&[("SIGNUP", "open")]).await;
    let nobody = Client::of(&h, person(&h, "nobody").await).await;
    let (status, made) = nobody.post("/api/teams", &json!({ "name": "First" })).await;
    assert_eq!(status, 201, "{made}");
    let (_, teams) = nobody.get("/api/teams").await;
    assert_eq!(teams["items"][0], made);
    h.finish().await;
}

#[tokio::test]
async fn only_the_owner_hands_the_team_over_and_the_new_one_is_an_admin() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    let (admin, admin_id) = Client::member(&h, "adam", Role::Admin).await;
    let (viewer, viewer_id) = Client::member(&h, "vera", Role::Viewer).await;
    let to = |user_id| json!({ "user_id": user_id });
    let owner_path = format!("{}/owner", path(&h));

    let (status, told) = admin.post(&owner_path, &to(admin_id)).await;
    assert_eq!((status, code(&told)), (403, "not-owner"), "{told}");
    assert_eq!(viewer.post(&owner_path, &to(viewer_id)).await.0, 403);
    let outside = person(&h, "outside").await;
    let (status, told) = owner.post(&owner_path, &to(outside)).await;
    assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("user_id")), "{told}");

    let (status, team) = owner.post(&owner_path, &to(viewer_id)).await;
    assert_eq!((status, &team["owner_user_id"]), (200, &json!(viewer_id)), "{team}");
    assert_eq!(viewer.get(&path(&h)).await.1["role"], json!("admin"));
    assert_eq!(h.story(viewer_id).await, ["member.role_changed", "team.owner_changed"]);
    // Not the owner any more, and an admin still.
    assert_eq!(code(&owner.post(&owner_path, &to(h.user_id)).await.1), "not-owner");
    assert_eq!(owner.patch(&path(&h), &json!({ "name": "Still an admin" })).await.0, 200);
    assert_eq!(Client::stranger(&h).await.post(&owner_path, &to(viewer_id)).await.0, 404);
    h.finish().await;
}
