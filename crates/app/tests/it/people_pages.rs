//! The team page, invitations and sign-up as a browser without scripts meets them.

use crate::client::{Client, person};
use crate::harness::Harness;
use crate::pages::{Browser, Seen};
use axum::http::StatusCode;
use rejoinder_app::accounts::{teams, users};
use rejoinder_app::model::{ItemState, Role};
use time::Duration;
use uuid::Uuid;

const PASSWORD: &str = "burrs touch at zero";

/// What the page shows as the link of the invitation made just now.
fn link_on(page: &Seen) -> String {
    let field = page.html.split("id=\"issued-link\"").nth(1).expect("the page shows a link");
    let value = field.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    value.strip_prefix("http://localhost:3000").unwrap().to_owned()
}

async fn invited(h: &Harness, email: &str, role: &str) -> String {
    let mut admin = Browser::signed_in(h, h.user_id).await;
    link_on(&admin.post("/dashboard/team/invitations", &[("email", email), ("role", role)]).await)
}

async fn other_team(h: &Harness, owner: Uuid) -> Uuid {
    h.advance(Duration::seconds(1));
    let moment = h.app.moment();
    let mut conn = h.conn().await;
    let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: owner, name: "Other Team" };
    let id = team.id;
    teams::create(&mut conn, team, moment.now).await.unwrap();
    id
}

#[tokio::test]
async fn an_admin_invites_and_the_link_is_shown_once() {
    let h = Harness::unconnected(&[]).await;
    let mut admin = Browser::signed_in(&h, h.user_id).await;
    let form = [("email", "Ben@example.com"), ("role", "editor")];
    let made = admin.post("/dashboard/team/invitations", &form).await;
    assert_eq!(made.status, StatusCode::OK);
    assert!(made.html.contains("Give this link to ben@example.com"));
    let link = link_on(&made);
    let page = admin.get("/dashboard/team").await;
    assert!(page.html.contains("ben@example.com") && !page.html.contains("token="), "listed without its link");
    let member = [("email", "ana@example.com"), ("role", "editor")];
    let refused = admin.post("/dashboard/team/invitations", &member).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.html.contains("is in the team already") && refused.html.contains("value=\"ana@example.com\""));

    let id: Uuid = page.html.split("id=\"invitation-").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let renewed = admin.post(&format!("/dashboard/team/invitations/{id}/renew"), &[]).await;
    assert_ne!(link_on(&renewed), link);
    let withdrawn = admin.post(&format!("/dashboard/team/invitations/{id}/withdraw"), &[]).await;
    assert_eq!(withdrawn.location, "/dashboard/team?done=withdrawn");
    assert!(admin.get(&withdrawn.location).await.html.contains("The invitation is withdrawn"));
    h.finish().await;
}

#[tokio::test]
async fn whoever_has_no_account_makes_one_with_the_link_and_only_for_the_invited_address() {
    let h = Harness::unconnected(&[]).await;
    let link = invited(&h, "ben@example.com", "editor").await;
    let mut browser = Browser::new(&h);
    let opened = browser.get(&link).await;
    assert_eq!((opened.status, opened.location.as_str()), (StatusCode::SEE_OTHER, "/invite"));
    assert_eq!(opened.referrer_policy, "no-referrer");
    let page = browser.get("/invite").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("Brassfinch") && page.html.contains("Ana Lima"));
    let token = link.rsplit('=').next().unwrap();
    assert!(!page.html.contains(token) && !page.html.contains("ben@"), "neither the token nor the address");

    let form = |email, password| [("email", email), ("name", "Ben"), ("password", password)];
    let other = browser.post("/invite/account", &form("eve@example.com", PASSWORD)).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert!(other.html.contains("for another e-mail address") && !other.html.contains("ben@"));
    let weak = browser.post("/invite/account", &form("ben@example.com", "short")).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.html.contains("Use at least 10 characters.") && weak.html.contains("value=\"Ben\""));
    let users = sqlx::query_scalar::<_, i64>("select count(*) from users").fetch_one(h.pool()).await.unwrap();
    assert_eq!(users, 1, "nothing was made by the refused ones");

    let joined = browser.post("/invite/account", &form(" Ben@Example.com", PASSWORD)).await;
    assert_eq!((joined.status, joined.location.as_str()), (StatusCode::SEE_OTHER, "/dashboard/inbox"));
    assert!(browser.get("/dashboard/team").await.html.contains("Brassfinch"));
    let ben = users::by_email(&mut *h.conn().await, "ben@example.com").await.unwrap().unwrap();
    let role = teams::role_of(&mut *h.conn().await, h.team_id, ben.id).await.unwrap();
    assert_eq!(role, Some(Role::Editor));

    let mut again = Browser::new(&h);
    again.get(&link).await;
    let used = again.get("/invite").await;
    assert_eq!(used.status, StatusCode::GONE);
    assert!(used.html.contains("was used already"));
    h.finish().await;
}

#[tokio::test]
async fn whoever_has_an_account_signs_in_first_and_lands_in_the_new_team() {
    let h = Harness::unconnected(&[]).await;
    let ben = person(&h, "ben").await;
    let own = other_team(&h, ben).await;
    let hash = h.app.passwords.hash(PASSWORD.into(), &h.app.entropy).await.unwrap();
    users::set_password(&mut *h.conn().await, ben, &hash, h.now()).await.unwrap();
    let link = invited(&h, "ben@example.com", "viewer").await;

    let mut browser = Browser::new(&h);
    browser.get(&link).await;
    browser.get("/invite").await;
    let form = [("email", "ben@example.com"), ("name", "Ben"), ("password", PASSWORD)];
    let known = browser.post("/invite/account", &form).await;
    assert_eq!(known.status, StatusCode::CONFLICT);
    assert!(known.html.contains("has an account already"));
    browser.get("/signin?next=/invite").await;
    let form = [("email", "ben@example.com"), ("password", PASSWORD), ("next", "/invite")];
    assert_eq!(browser.post("/signin", &form).await.location, "/invite");
    let page = browser.get("/invite").await;
    assert!(page.html.contains("You are signed in as"), "{}", page.html);
    assert_eq!(browser.post("/invite/join", &[]).await.location, "/dashboard/inbox");
    let team = browser.get("/dashboard/team").await;
    assert!(team.html.contains("<h1 dir=\"auto\">Brassfinch</h1>"), "the team that was joined last");
    let there = browser.post("/dashboard/team/switch", &[("team_id", &own.to_string())]).await;
    assert_eq!(there.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/dashboard/team").await.html.contains("<h1 dir=\"auto\">Other Team</h1>"), "and it stays so");
    h.finish().await;
}

#[tokio::test]
async fn a_link_for_somebody_else_says_what_to_do() {
    let h = Harness::unconnected(&[]).await;
    let link = invited(&h, "ben@example.com", "viewer").await;
    let eve = person(&h, "eve").await;
    other_team(&h, eve).await;
    let mut browser = Browser::signed_in(&h, eve).await;
    browser.get(&link).await;
    browser.get("/invite").await;
    let refused = browser.post("/invite/join", &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.html.contains("for another e-mail address") && refused.html.contains("Sign out"));
    assert!(!refused.html.contains("ben@"));
    for made_up in ["/invite?token=", "/invite?token=x", "/invite?token=a%3B%20b%0d%0aSet-Cookie:%20c"] {
        let mut nobody = Browser::new(&h);
        assert_eq!(nobody.get(made_up).await.location, "/invite");
        assert_eq!(nobody.get("/invite").await.status, StatusCode::NOT_FOUND, "{made_up}");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_window_left_open_on_one_team_does_nothing_to_another() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("How fine?").await;
    let other = other_team(&h, h.user_id).await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let left_open = browser.get("/dashboard/team").await;
    assert!(left_open.html.contains("<h1 dir=\"auto\">Brassfinch</h1>"));
    browser.post("/dashboard/team/switch", &[("team_id", &other.to_string())]).await;
    browser.look_at(&left_open);
    let settings = [
        ("timezone", "UTC"),
        ("daily_cap", "1"),
        ("gap_secs", ""),
        ("quiet_from", ""),
        ("quiet_to", ""),
        ("link_domains", ""),
    ];
    for (path, form) in [("/dashboard/team/name", &[("name", "Renamed")][..]), ("/dashboard/settings", &settings)] {
        let refused = browser.post(path, form).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path}");
        assert!(refused.html.contains("showed another team"), "{path}");
    }
    let named = teams::load(&mut *h.conn().await, other).await.unwrap().unwrap();
    assert_eq!(named.name, "Other Team");
    // What names its own object is as clear as before.
    let done = browser.post(&format!("/dashboard/items/{}/done", item.id), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(h.item_of(&comment).await.unwrap().state, ItemState::Done.as_str());
    let now = browser.get("/dashboard/team").await;
    assert!(now.html.contains("<h1 dir=\"auto\">Other Team</h1>"));
    assert_eq!(
        browser.post("/dashboard/team/name", &[("name", "Renamed")]).await.location,
        "/dashboard/team?done=renamed"
    );
    h.finish().await;
}

#[tokio::test]
async fn nobody_is_shown_a_team_that_they_are_not_in() {
    let h = Harness::unconnected(&[]).await;
    let eve = person(&h, "eve").await;
    let theirs = other_team(&h, eve).await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let refused = browser.post("/dashboard/team/switch", &[("team_id", &theirs.to_string())]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    // Chosen while a member, removed meanwhile.
    let mine = other_team(&h, h.user_id).await;
    browser.post("/dashboard/team/switch", &[("team_id", &mine.to_string())]).await;
    sqlx::query("delete from team_members where team_id = $1").bind(mine).execute(h.pool()).await.unwrap();
    let page = browser.get("/dashboard/team").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("<h1 dir=\"auto\">Brassfinch</h1>"));
    assert_eq!(
        browser.post("/dashboard/team/name", &[("name", "Brass")]).await.location,
        "/dashboard/team?done=renamed"
    );
    h.finish().await;
}

#[tokio::test]
async fn members_see_the_people_and_only_admins_get_the_forms() {
    let h = Harness::unconnected(&[]).await;
    let (_, vera) = Client::member(&h, "vera", Role::Viewer).await;
    invited(&h, "ben@example.com", "viewer").await;
    let mut viewer = Browser::signed_in(&h, vera).await;
    let page = viewer.get("/dashboard/team").await;
    assert!(page.html.contains("Ana Lima") && page.html.contains("vera"));
    assert!(!page.html.contains("ben@example.com"), "who is invited is for admins");
    let forms: Vec<&str> = page.html.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(forms, ["/signout", "/dashboard/team/leave"]);
    let invite = [("email", "eve@example.com"), ("role", "admin")];
    for (path, form) in [
        ("/dashboard/team/invitations".to_owned(), &invite[..]),
        (format!("/dashboard/team/members/{vera}/role"), &[("role", "admin")]),
        (format!("/dashboard/team/members/{}/remove", h.user_id), &[]),
        ("/dashboard/team/name".to_owned(), &[("name", "Mine")]),
    ] {
        assert_eq!(viewer.post(&path, form).await.status, StatusCode::FORBIDDEN, "{path}");
    }

    let mut admin = Browser::signed_in(&h, h.user_id).await;
    let changed = admin.post(&format!("/dashboard/team/members/{vera}/role"), &[("role", "admin")]).await;
    assert!(admin.get(&changed.location).await.html.contains("The role is changed"));
    let owner = admin.post(&format!("/dashboard/team/members/{}/role", h.user_id), &[("role", "viewer")]).await;
    assert_eq!(owner.status, StatusCode::CONFLICT);
    assert!(owner.html.contains("This person owns the team"));
    admin.post("/dashboard/team/owner", &[("user_id", &vera.to_string())]).await;
    assert_eq!(admin.post("/dashboard/team/leave", &[]).await.location, "/dashboard/inbox");
    let nowhere = admin.get("/dashboard/inbox").await;
    assert_eq!(nowhere.status, StatusCode::FORBIDDEN);
    assert!(nowhere.html.contains("You are in no team yet"));
    let log = viewer.get("/dashboard/activity").await;
    assert!(log.html.contains("changed the role of vera from viewer to admin"));
    assert!(log.html.contains("handed the team over to vera") && log.html.contains("invited b…@example.com as viewer"));
    h.finish().await;
}

#[tokio::test]
async fn strangers_sign_up_only_where_the_server_is_open() {
    let form = |email| [("name", "Ben"), ("email", email), ("password", PASSWORD), ("team_name", "Ben's Beans")];
    let closed = Harness::unconnected(&[]).await;
    let mut browser = Browser::new(&closed);
    let page = browser.get("/signup").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("takes people by invitation") && !page.html.contains("<form"));
    assert!(!browser.get("/signin").await.html.contains("/signup"));
    assert_eq!(browser.post("/signup", &form("ben@example.com")).await.status, StatusCode::FORBIDDEN);
    assert!(users::by_email(&mut *closed.conn().await, "ben@example.com").await.unwrap().is_none());
    closed.finish().await;

    let open = Harness::unconnected(&[("SIGNUP", "open")]).await;
    let mut browser = Browser::new(&open);
    assert!(browser.get("/signin").await.html.contains("href=\"/signup\""));
    assert_eq!(browser.get("/signup").await.status, StatusCode::OK);
    let taken = browser.post("/signup", &form("Ana@example.com")).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(taken.html.contains("has an account already") && taken.html.contains("value=\"Ben&#39;s Beans\""));
    assert_eq!(browser.post("/signup", &form("ben@example.com")).await.location, "/dashboard");
    let team = browser.get("/dashboard/team").await;
    assert!(team.html.contains("Ben&#39;s Beans") && !team.html.contains("Ana Lima"), "a team of their own");
    let mut another = Browser::new(&open);
    another.get("/signup").await;
    for _ in 0..3 {
        another.post("/signup", &form("not an address")).await;
    }
    let limited = another.post("/signup", &form("cleo@example.com")).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.html.contains("Try again in 12 min"), "{}", limited.html);
    open.finish().await;
}
