//! The people of a team: what each may do to the others, and that a team is never without an admin.

use crate::client::{Client, person};
use crate::harness::Harness;
use rejoinder_app::accounts::members;
use rejoinder_app::model::Role;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

fn path(h: &Harness) -> String {
    format!("/api/teams/{}/members", h.team_id)
}

fn of(h: &Harness, user_id: Uuid) -> String {
    format!("{}/{user_id}", path(h))
}

fn code(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
}

async fn role(h: &Harness, user_id: Uuid) -> Option<Role> {
    members::load(&mut *h.conn().await, h.team_id, user_id).await.unwrap().map(|member| member.role)
}

/// A team whose owner is gone, as when an account is erased elsewhere.
async fn without_its_owner(h: &Harness) {
    sqlx::query("delete from team_members where user_id = $1").bind(h.user_id).execute(h.pool()).await.unwrap();
}

#[tokio::test]
async fn everybody_in_the_team_sees_who_is_in_it_by_pages() {
    let h = Harness::unconnected(&[]).await;
    h.advance(Duration::seconds(1));
    let (viewer, _) = Client::member(&h, "vera", Role::Viewer).await;
    h.advance(Duration::seconds(1));
    Client::member(&h, "emil", Role::Editor).await;
    let (status, first) = viewer.get(&format!("{}?limit=2", path(&h))).await;
    assert_eq!(status, 200);
    let told = |page: &Value| -> Vec<(Value, Value, Value)> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| (item["email"].clone(), item["role"].clone(), item["is_owner"].clone())).collect()
    };
    assert_eq!(
        told(&first),
        [
            (json!("ana@example.com"), json!("admin"), json!(true)),
            (json!("vera@example.com"), json!("viewer"), json!(false))
        ]
    );
    let next = first["next_cursor"].as_str().unwrap();
    let (_, second) = viewer.get(&format!("{}?limit=2&cursor={next}", path(&h))).await;
    assert_eq!(told(&second), [(json!("emil@example.com"), json!("editor"), json!(false))]);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(Client::stranger(&h).await.get(&path(&h)).await.0, 404);
    h.finish().await;
}

#[tokio::test]
async fn admins_change_roles_at_once_and_others_are_told_which_role_that_needs() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    let (editor, editor_id) = Client::member(&h, "emil", Role::Editor).await;
    let (viewer, viewer_id) = Client::member(&h, "vera", Role::Viewer).await;
    let stranger = Client::stranger(&h).await;
    for client in [&editor, &viewer] {
        let (status, told) = client.patch(&of(&h, viewer_id), &json!({ "role": "admin" })).await;
        assert_eq!(status, 403, "{told}");
        assert!(told["detail"].as_str().unwrap().contains("This needs the role admin"), "{told}");
        assert_eq!(client.delete(&of(&h, h.user_id)).await.0, 403);
    }
    assert_eq!(stranger.patch(&of(&h, viewer_id), &json!({ "role": "admin" })).await.0, 404);
    assert_eq!(stranger.delete(&of(&h, viewer_id)).await.0, 404);
    for unknown in [Uuid::from_u128(7).to_string(), "x".to_owned()] {
        assert_eq!(owner.patch(&format!("{}/{unknown}", path(&h)), &json!({ "role": "admin" })).await.0, 404);
    }
    let (status, told) = owner.patch(&of(&h, editor_id), &json!({ "role": "owner" })).await;
    assert_eq!((status, &told["errors"][0]["field"]), (422, &json!("role")), "{told}");

    let settings = format!("/api/teams/{}/settings", h.team_id);
    let (status, changed) = owner.patch(&of(&h, viewer_id), &json!({ "role": "admin" })).await;
    assert_eq!((status, &changed["role"]), (200, &json!("admin")));
    assert_eq!(viewer.patch(&settings, &json!({ "gap_secs": 9 })).await.0, 200, "the same session, the new role");
    owner.patch(&of(&h, viewer_id), &json!({ "role": "editor" })).await;
    owner.patch(&of(&h, viewer_id), &json!({ "role": "editor" })).await;
    assert_eq!(viewer.patch(&settings, &json!({ "gap_secs": 9 })).await.0, 403);

    let log = h.activity().await;
    let log: Vec<_> = log.iter().filter(|row| row.subject_id == viewer_id).collect();
    let mut steps: Vec<_> =
        log.iter().map(|row| (row.payload["before"]["role"].clone(), row.payload["after"]["role"].clone())).collect();
    steps.sort_by_key(|step| step.0.to_string());
    assert_eq!(
        steps,
        [(json!("admin"), json!("editor")), (json!("viewer"), json!("admin"))],
        "the repetition is no line"
    );
    assert!(log.iter().all(|row| row.actor_user_id == Some(h.user_id) && row.subject_name.as_deref() == Some("vera")));
    h.finish().await;
}

#[tokio::test]
async fn the_owner_keeps_place_and_role_until_the_team_is_handed_over() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    let (admin, admin_id) = Client::member(&h, "adam", Role::Admin).await;
    for client in [&admin, &owner] {
        let (status, told) = client.patch(&of(&h, h.user_id), &json!({ "role": "viewer" })).await;
        assert_eq!((status, code(&told)), (409, "is-owner"), "{told}");
        let (status, told) = client.delete(&of(&h, h.user_id)).await;
        assert_eq!((status, code(&told)), (409, "is-owner"), "{told}");
    }
    owner.post(&format!("/api/teams/{}/owner", h.team_id), &json!({ "user_id": admin_id })).await;
    assert_eq!(owner.delete(&of(&h, h.user_id)).await.0, 204);
    assert_eq!(owner.get(&path(&h)).await.0, 404, "gone at once");
    assert_eq!(h.story(h.user_id).await, ["member.left"]);
    h.finish().await;
}

#[tokio::test]
async fn a_team_whose_owner_is_gone_is_taken_over_by_an_admin() {
    let h = Harness::unconnected(&[]).await;
    let (admin, admin_id) = Client::member(&h, "adam", Role::Admin).await;
    let (editor, editor_id) = Client::member(&h, "emil", Role::Editor).await;
    let owner = format!("/api/teams/{}/owner", h.team_id);
    let me = json!({ "user_id": admin_id });
    assert_eq!(code(&admin.post(&owner, &me).await.1), "not-owner");
    without_its_owner(&h).await;
    assert_eq!(editor.post(&owner, &json!({ "user_id": editor_id })).await.0, 403);
    let (status, team) = admin.post(&owner, &me).await;
    assert_eq!((status, &team["owner_user_id"]), (200, &json!(admin_id)), "{team}");
    assert_eq!(code(&admin.delete(&of(&h, admin_id)).await.1), "is-owner");
    h.finish().await;
}

#[tokio::test]
async fn leaving_and_being_removed_end_one_membership_and_no_other() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    let (viewer, viewer_id) = Client::member(&h, "vera", Role::Viewer).await;
    let (editor, editor_id) = Client::member(&h, "emil", Role::Editor).await;
    let (_, other) = owner.post("/api/teams", &json!({ "name": "Other" })).await;
    let other: Uuid = other["id"].as_str().unwrap().parse().unwrap();
    sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) select gen_random_uuid(), $1, user_id, role, accepted_at from team_members where user_id = $2")
        .bind(other).bind(editor_id).execute(h.pool()).await.unwrap();

    assert_eq!(viewer.delete(&of(&h, viewer_id)).await.0, 204);
    assert_eq!(viewer.get(&path(&h)).await.0, 404);
    assert_eq!(owner.delete(&of(&h, editor_id)).await.0, 204);
    assert_eq!(owner.delete(&of(&h, editor_id)).await.0, 404, "it is done already");
    assert_eq!(editor.get(&path(&h)).await.0, 404);
    assert_eq!(editor.get(&format!("/api/teams/{other}/members")).await.0, 200);
    assert_eq!(
        (h.story(viewer_id).await, h.story(editor_id).await),
        (vec!["member.left".to_owned()], vec!["member.removed".to_owned()])
    );
    h.finish().await;
}

#[tokio::test]
async fn of_two_admins_who_demote_each_other_at_once_exactly_one_succeeds() {
    let h = Harness::unconnected(&[]).await;
    for round in 0..5 {
        let (one, one_id) = Client::member(&h, &format!("one{round}"), Role::Admin).await;
        let (two, two_id) = Client::member(&h, &format!("two{round}"), Role::Admin).await;
        let (of_two, of_one) = (of(&h, two_id), of(&h, one_id));
        let demote = json!({ "role": "viewer" });
        let (a, b) = tokio::join!(one.patch(&of_two, &demote), two.patch(&of_one, &demote));
        let mut statuses = [a.0, b.0];
        statuses.sort_unstable();
        // The later one finds its role gone: in time to be told so, or already at the door.
        assert!(statuses == [200, 409] || statuses == [200, 403], "{a:?} {b:?}");
        let admins = [role(&h, one_id).await, role(&h, two_id).await];
        assert_eq!(admins.iter().filter(|role| **role == Some(Role::Admin)).count(), 1);
    }
    h.finish().await;
}

#[tokio::test]
async fn an_admin_who_was_demoted_while_asking_changes_nothing() {
    let h = Harness::unconnected(&[]).await;
    let (_, one) = Client::member(&h, "one", Role::Admin).await;
    let (_, two) = Client::member(&h, "two", Role::Admin).await;
    let moment = h.app.moment();
    // Both are past the door; the second waits for the team's row.
    let mut first = h.pool().begin().await.unwrap();
    members::change_role(&mut first, &moment, h.team_id, one, two, Role::Viewer).await.unwrap();
    let late = async {
        let mut tx = h.pool().begin().await.unwrap();
        members::change_role(&mut tx, &moment, h.team_id, two, one, Role::Viewer).await
    };
    let (late, ()) = tokio::join!(late, async { first.commit().await.unwrap() });
    assert!(matches!(late, Err(members::MemberError::ActorChanged)), "{late:?}");
    assert_eq!(role(&h, one).await, Some(Role::Admin));
    h.finish().await;
}

#[tokio::test]
async fn the_last_admin_stays_also_when_the_last_two_leave_at_once() {
    let h = Harness::unconnected(&[]).await;
    let (one, one_id) = Client::member(&h, "one", Role::Admin).await;
    let (two, two_id) = Client::member(&h, "two", Role::Admin).await;
    without_its_owner(&h).await;
    let (of_one, of_two) = (of(&h, one_id), of(&h, two_id));
    let (a, b) = tokio::join!(one.delete(&of_one), two.delete(&of_two));
    let mut statuses = [a.0, b.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{a:?} {b:?}");
    let (last, last_path) = if a.0 == 409 { (&one, of_one) } else { (&two, of_two) };
    let (status, told) = last.patch(&last_path, &json!({ "role": "editor" })).await;
    assert_eq!((status, code(&told)), (409, "last-admin"), "{told}");
    assert_eq!(code(&last.delete(&last_path).await.1), "last-admin");
    h.finish().await;
}

async fn rejoin(h: &Harness, user_id: Uuid) {
    sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'viewer', $4)")
        .bind(h.app.moment().id())
        .bind(h.team_id)
        .bind(user_id)
        .bind(h.now())
        .execute(h.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn who_is_removed_demoted_or_gone_comes_back_by_no_invitation_of_their_own() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    let invitations = format!("/api/teams/{}/invitations", h.team_id);
    let invite = async |by: &Client, email: String| {
        let (status, made) = by.post(&invitations, &json!({ "email": email, "role": "admin" })).await;
        assert_eq!(status, 201, "{made}");
        json!({ "token": made["link"].as_str().unwrap().rsplit('=').next().unwrap() })
    };
    for way in ["removed", "demoted", "gone"] {
        let (admin, id) = Client::member(&h, way, Role::Admin).await;
        let second = Client::of(&h, person(&h, &format!("{way}2")).await).await;
        let friend = Client::of(&h, person(&h, &format!("{way}3")).await).await;
        let own = invite(&admin, format!("{way}2@example.com")).await;
        let owners = invite(&owner, format!("{way}3@example.com")).await;
        let status = match way {
            "removed" => owner.delete(&of(&h, id)).await.0,
            "demoted" => owner.patch(&of(&h, id), &json!({ "role": "viewer" })).await.0,
            _ => admin.delete(&of(&h, id)).await.0,
        };
        assert!(status < 300, "{way}: {status}");
        let (status, told) = second.post("/api/invitations/accept", &own).await;
        assert_eq!((status, code(&told)), (410, "invitation-withdrawn"), "{way}: {told}");
        assert_eq!(friend.post("/api/invitations/accept", &owners).await.0, 200, "{way}: who else invited");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_token_of_who_left_stays_dead_when_they_come_back() {
    let h = Harness::unconnected(&[]).await;
    let owner = Client::signed_in(&h).await;
    for way in ["left", "removed"] {
        let (member, id) = Client::member(&h, way, Role::Viewer).await;
        let (status, made) = member.post("/api/tokens", &json!({ "name": "Reader", "role": "viewer" })).await;
        assert_eq!(status, 201, "{made}");
        let program = Client::with_token(&h, made["token"].as_str().unwrap());
        assert_eq!(program.get(&path(&h)).await.0, 200);
        let by = if way == "left" { &member } else { &owner };
        assert_eq!(by.delete(&of(&h, id)).await.0, 204);
        h.advance(Duration::seconds(1));
        rejoin(&h, id).await;
        assert_eq!(member.get(&path(&h)).await.0, 200, "the person is back");
        let (status, told) = program.get(&path(&h)).await;
        assert_eq!((status, code(&told)), (401, "token-revoked"), "{way}");
        // One that slipped through, made while its maker was being removed.
        sqlx::query("update api_tokens set revoked_at = null where created_by = $1")
            .bind(id)
            .execute(h.pool())
            .await
            .unwrap();
        let (status, told) = program.get(&path(&h)).await;
        assert_eq!((status, code(&told)), (401, "token-maker-gone"), "{way}");
    }
    h.finish().await;
}
