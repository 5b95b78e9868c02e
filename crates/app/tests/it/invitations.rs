//! Invitations: for one address, once, for a week; and what everybody else is told.

use crate::client::{Client, person};
use crate::harness::Harness;
use crate::mail;
use crate::smtp::MailServer;
use rejoinder_app::accounts::password_resets::{self, AskedBy};
use rejoinder_app::accounts::signup::{SignUp, sign_up};
use rejoinder_app::accounts::{invitations, teams, users};
use rejoinder_app::model::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

fn path(h: &Harness) -> String {
    format!("/api/teams/{}/invitations", h.team_id)
}

fn code(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
}

/// Status and code of a refusal.
fn refused((status, problem): &(u16, Value)) -> (u16, &str) {
    (*status, code(problem))
}

async fn invite(h: &Harness, email: &str, role: &str) -> (Uuid, Value) {
    let client = Client::signed_in(h).await;
    let (status, answer) = client.post(&path(h), &json!({ "email": email, "role": role })).await;
    assert_eq!(status, 201, "{answer}");
    let link = answer["link"].as_str().unwrap();
    let token = link.strip_prefix("http://localhost:3000/invite?token=").unwrap().to_owned();
    (answer["id"].as_str().unwrap().parse().unwrap(), json!({ "token": token }))
}

async fn role_of(h: &Harness, user_id: Uuid) -> Option<Role> {
    teams::role_of(&mut *h.conn().await, h.team_id, user_id).await.unwrap()
}

const ACCEPT: &str = "/api/invitations/accept";
const PREVIEW: &str = "/api/invitations/preview";

#[tokio::test]
async fn the_invited_person_joins_once_with_the_role_of_the_invitation() {
    let h = Harness::unconnected(&[]).await;
    let (id, token) = invite(&h, " Ben@Example.com", "editor").await;
    let ben_id = person(&h, "ben").await;
    let ben = Client::of(&h, ben_id).await;
    let (status, offer) = Client::stranger(&h).await.post(PREVIEW, &token).await;
    assert_eq!((status, &offer["team_name"], &offer["role"]), (200, &json!("Brassfinch"), &json!("editor")));
    assert_eq!(offer["invited_by_name"], json!("Ana Lima"));
    assert!(!offer.to_string().contains("ben"), "whom it is for is not told: {offer}");

    let (status, joined) = ben.post(ACCEPT, &token).await;
    assert_eq!((status, &joined["role"]), (200, &json!("editor")), "{joined}");
    assert_eq!(role_of(&h, ben_id).await, Some(Role::Editor));
    assert_eq!(refused(&ben.post(ACCEPT, &token).await), (410, "invitation-used"));
    assert_eq!(refused(&ben.post(PREVIEW, &token).await), (410, "invitation-used"));
    let admin = Client::signed_in(&h).await;
    assert_eq!(refused(&admin.delete(&format!("{}/{id}", path(&h))).await), (409, "accepted"));
    assert_eq!(refused(&admin.post(&format!("{}/{id}/renew", path(&h)), &json!({})).await), (409, "accepted"));
    assert_eq!(
        (h.story(id).await, h.story(ben_id).await),
        (vec!["invitation.created".to_owned()], vec!["member.joined".to_owned()])
    );
    let log = h.activity().await;
    assert!(!serde_json::to_string(&log).unwrap().contains("ben@example.com"), "the log names no whole address");
    h.finish().await;
}

#[tokio::test]
async fn a_link_in_other_hands_opens_nothing_and_does_not_say_whose_it_is() {
    let h = Harness::unconnected(&[]).await;
    let (_, token) = invite(&h, "ben@example.com", "admin").await;
    let stranger = Client::stranger(&h).await;
    let answer = stranger.post(ACCEPT, &token).await;
    assert_eq!(refused(&answer), (403, "other-address"));
    assert!(!answer.1.to_string().contains("ben"), "{}", answer.1);
    // A person without any address is nobody's invited one.
    let moment = h.app.moment();
    let user_id = moment.id();
    let user = users::NewUser { id: user_id, email: None, name: "No address", password_hash: None };
    users::create(&mut *h.conn().await, user, moment.now).await.unwrap();
    assert_eq!(refused(&Client::of(&h, user_id).await.post(ACCEPT, &token).await), (403, "other-address"));
    for made_up in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = stranger.post(ACCEPT, &json!({ "token": made_up })).await;
        assert_eq!(refused(&answer), (404, "unknown-invitation"), "{made_up}");
    }
    let ben = Client::of(&h, person(&h, "ben").await).await;
    assert_eq!(ben.post(ACCEPT, &token).await.0, 200, "it still works for whom it is");
    h.finish().await;
}

#[tokio::test]
async fn an_address_that_nobody_checked_accepts_nothing_until_its_owner_used_a_link() {
    let h = Harness::unconnected(&[]).await;
    let (_, token) = invite(&h, "ben@example.com", "admin").await;
    let form = SignUp {
        name: "Not Ben".to_owned(),
        email: "ben@example.com".to_owned(),
        password: "burrs touch at zero".into(),
        team_name: "Others".to_owned(),
    };
    sign_up(&h.app.db, &h.app.passwords, &h.app.moment(), form).await.unwrap();
    let ben_id = users::by_email(&mut *h.conn().await, "ben@example.com").await.unwrap().unwrap().id;
    let answer = Client::of(&h, ben_id).await.post(ACCEPT, &token).await;
    assert_eq!(refused(&answer), (403, "address-unverified"));
    assert!(answer.1["detail"].as_str().unwrap().contains("Forgot your password?"), "{}", answer.1);
    assert_eq!(role_of(&h, ben_id).await, None);

    let mut conn = h.conn().await;
    let link = password_resets::make(&mut conn, &h.app.moment(), ben_id, AskedBy::Forgot).await.unwrap();
    drop(conn);
    let new = "a finer grind by far".into();
    password_resets::redeem(&h.app, &h.app.moment(), link.expose_secret(), new).await.unwrap();
    assert_eq!(Client::of(&h, ben_id).await.post(ACCEPT, &token).await.0, 200);
    assert_eq!(role_of(&h, ben_id).await, Some(Role::Admin));
    h.finish().await;
}

#[tokio::test]
async fn after_a_week_it_is_over_until_it_is_renewed_with_a_new_link() {
    let h = Harness::unconnected(&[]).await;
    let (id, token) = invite(&h, "ben@example.com", "viewer").await;
    let ben = Client::of(&h, person(&h, "ben").await).await;
    let admin = Client::signed_in(&h).await;
    h.advance(Duration::days(7) - Duration::seconds(1));
    assert_eq!(ben.post(PREVIEW, &token).await.0, 200);
    h.advance(Duration::seconds(1));
    assert_eq!(refused(&ben.post(PREVIEW, &token).await), (410, "invitation-expired"));
    assert_eq!(refused(&ben.post(ACCEPT, &token).await), (410, "invitation-expired"));
    let (_, open) = admin.get(&path(&h)).await;
    assert_eq!(open["items"][0]["id"], json!(id), "it stands there to be renewed");

    let (status, renewed) = admin.post(&format!("{}/{id}/renew", path(&h)), &json!({})).await;
    assert_eq!((status, &renewed["id"]), (200, &json!(id)), "{renewed}");
    assert_eq!(refused(&ben.post(ACCEPT, &token).await), (404, "unknown-invitation"), "the old link is dead");
    let token = renewed["link"].as_str().unwrap().rsplit('=').next().unwrap();
    assert_eq!(ben.post(ACCEPT, &json!({ "token": token })).await.0, 200);
    h.finish().await;
}

#[tokio::test]
async fn asking_again_replaces_the_open_invitation_and_withdrawing_ends_it() {
    let h = Harness::unconnected(&[]).await;
    let (first_id, first) = invite(&h, "ben@example.com", "viewer").await;
    let (id, second) = invite(&h, "BEN@example.com", "editor").await;
    assert_ne!(first_id, id);
    let admin = Client::signed_in(&h).await;
    let (_, open) = admin.get(&path(&h)).await;
    let open = open["items"].as_array().unwrap();
    assert_eq!((open.len(), &open[0]["role"]), (1, &json!("editor")));
    assert!(open[0].get("link").is_none(), "a link is shown once");
    let ben = Client::of(&h, person(&h, "ben").await).await;
    assert_eq!(refused(&ben.post(ACCEPT, &first).await), (410, "invitation-withdrawn"));
    assert_eq!(admin.delete(&format!("{}/{id}", path(&h))).await.0, 204);
    assert_eq!(admin.delete(&format!("{}/{id}", path(&h))).await.0, 404);
    assert_eq!(refused(&ben.post(ACCEPT, &second).await), (410, "invitation-withdrawn"));
    assert_eq!(h.story(id).await, ["invitation.created", "invitation.withdrawn"]);
    h.finish().await;
}

#[tokio::test]
async fn only_admins_of_the_team_see_and_change_invitations() {
    let h = Harness::unconnected(&[]).await;
    let (id, _) = invite(&h, "ben@example.com", "viewer").await;
    let one = format!("{}/{id}", path(&h));
    let body = json!({ "email": "eve@example.com", "role": "admin" });
    let clients = [
        (Client::with_role(&h, Role::Viewer).await, 403),
        (Client::with_role(&h, Role::Editor).await, 403),
        (Client::stranger(&h).await, 404),
    ];
    for (client, expected) in &clients {
        let answers = [
            client.get(&path(&h)).await,
            client.post(&path(&h), &body).await,
            client.delete(&one).await,
            client.post(&format!("{one}/renew"), &json!({})).await,
        ];
        for (status, told) in answers {
            assert_eq!(status, *expected, "{told}");
            assert!(status == 404 || told["detail"].as_str().unwrap().contains("the role admin"), "{told}");
        }
    }
    // The admin of another team, by the address of their own one.
    let (stranger, _) = &clients[2];
    let (_, own) = stranger.get("/api/teams").await;
    let through = format!("/api/teams/{}/invitations/{id}", own["items"][0]["id"].as_str().unwrap());
    assert_eq!(stranger.delete(&through).await.0, 404);
    assert_eq!(stranger.post(&format!("{through}/renew"), &json!({})).await.0, 404);
    assert_eq!(Client::signed_in(&h).await.get(&path(&h)).await.1["items"].as_array().unwrap().len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_member_is_not_invited_again_and_a_wrong_field_is_named() {
    let h = Harness::unconnected(&[]).await;
    Client::member(&h, "vera", Role::Viewer).await;
    let admin = Client::signed_in(&h).await;
    let ask = async |body: Value| admin.post(&path(&h), &body).await;
    assert_eq!(refused(&ask(json!({ "email": "Vera@example.com", "role": "admin" })).await), (409, "already-member"));
    for (body, field) in [
        (json!({ "email": "vera", "role": "admin" }), "email"),
        (json!({ "email": "v@example.com", "role": "owner" }), "role"),
        (json!({ "email": "v@example.com" }), "role"),
    ] {
        let (status, told) = ask(body).await;
        assert_eq!((status, &told["errors"][0]["field"]), (422, &json!(field)), "{told}");
    }
    h.finish().await;
}

#[tokio::test]
async fn of_two_who_come_with_one_link_one_gets_in() {
    let h = Harness::unconnected(&[]).await;
    let (_, token) = invite(&h, "ben@example.com", "viewer").await;
    let ben_id = person(&h, "ben").await;
    let (one, two) = (Client::of(&h, ben_id).await, Client::of(&h, ben_id).await);
    let (a, b) = tokio::join!(one.post(ACCEPT, &token), two.post(ACCEPT, &token));
    let mut statuses = [a.0, b.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410], "{a:?} {b:?}");
    assert_eq!(h.story(ben_id).await, ["member.joined"]);
    h.finish().await;
}

#[tokio::test]
async fn a_team_has_at_most_a_hundred_open_invitations_and_sends_so_many_an_hour() {
    let h = Harness::unconnected(&[]).await;
    let admin = Client::signed_in(&h).await;
    let ask = async |n: usize| {
        admin.post(&path(&h), &json!({ "email": format!("p{n}@example.com"), "role": "viewer" })).await
    };
    for n in 0..60 {
        assert_eq!(ask(n).await.0, 201);
    }
    let (status, told) = ask(60).await;
    assert_eq!((status, code(&told)), (429, "too-many-requests"), "{told}");
    h.advance(Duration::hours(1));
    for n in 60..100 {
        assert_eq!(ask(n).await.0, 201);
    }
    assert_eq!(refused(&ask(100).await), (409, "full"));
    assert_eq!(ask(99).await.0, 201, "one that replaces another fits");
    h.finish().await;
}

#[tokio::test]
async fn a_link_is_not_tried_for_many_addresses() {
    let h = Harness::unconnected(&[]).await;
    let (_, token) = invite(&h, "ben@example.com", "viewer").await;
    let stranger = Client::stranger(&h).await;
    for _ in 0..10 {
        assert_eq!(stranger.post(ACCEPT, &token).await.0, 403);
    }
    let ben = Client::of(&h, person(&h, "ben").await).await;
    assert_eq!(ben.post(ACCEPT, &token).await.0, 429);
    h.advance(Duration::hours(1));
    assert_eq!(ben.post(ACCEPT, &token).await.0, 200);
    h.finish().await;
}

#[tokio::test]
async fn what_ended_a_month_ago_is_forgotten() {
    let h = Harness::unconnected(&[]).await;
    let (_, token) = invite(&h, "ben@example.com", "viewer").await;
    h.advance(Duration::days(36));
    let now = h.now();
    assert_eq!(invitations::delete_old(&mut *h.conn().await, now, 10).await.unwrap(), 0);
    h.advance(Duration::days(1));
    assert_eq!(invitations::delete_old(&mut *h.conn().await, h.now(), 10).await.unwrap(), 1);
    assert_eq!(refused(&Client::stranger(&h).await.post(PREVIEW, &token).await), (404, "unknown-invitation"));
    h.finish().await;
}

#[tokio::test]
async fn where_the_server_sends_mail_the_invited_person_gets_the_link() {
    let server = MailServer::start().await;
    let h = mail::harness(&server).await;
    let admin = Client::signed_in(&h).await;
    let (_, answer) = admin.post(&path(&h), &json!({ "email": "Ben@example.com", "role": "editor" })).await;
    assert_eq!(answer["mailed"], json!(true), "{answer}");
    h.run_due().await;
    let got = server.take_one();
    assert_eq!(got.to, "ben@example.com");
    assert!(
        got.text.contains("Ana Lima invites you to the team \"Brassfinch\" on Rejoinder, as editor."),
        "{}",
        got.text
    );
    assert!(got.text.contains(answer["link"].as_str().unwrap()), "the link works as it is: {}", got.text);

    let renew = format!("{}/{}/renew", path(&h), answer["id"].as_str().unwrap());
    let (_, renewed) = admin.post(&renew, &json!({})).await;
    h.run_due().await;
    assert!(server.take_one().text.contains(renewed["link"].as_str().unwrap()));
    let refused = admin.post(&path(&h), &json!({ "email": "ana@example.com", "role": "editor" })).await;
    assert_eq!(refused.0, 409);
    h.run_due().await;
    assert_eq!(server.take().len(), 0, "who is not invited gets no mail");
    h.finish().await;
}
