//! The dashboard's pages. Each page is a typed struct with an askama template and declared samples; a handler
//! fills the struct and returns it through [`page`].
//!
//! What always holds: every text is escaped by the template engine, so strangers' words are only ever data; a page
//! carries no inline script and no inline style, which the strict [`CSP`] also forbids; forms work without scripts
//! and htmx only makes them quicker. What can go wrong: a template that fails to render answers a plain 500.

pub mod account;
pub mod accounts;
pub mod activity;
mod asked;
pub mod assets;
pub mod consent;
mod counted;
mod decide;
pub mod deletion;
pub mod error;
pub mod etiquette;
pub mod forgot;
pub mod frame;
mod home;
pub mod inbox;
pub mod inbox_draft;
pub mod inbox_list;
pub mod inbox_thread;
pub mod intents;
pub mod invite;
pub mod marks;
pub mod notices;
mod person;
mod place;
pub mod platform_apps;
mod qr;
pub mod samples;
pub mod settings;
pub mod setup;
pub mod signin;
pub mod signin_clerk;
pub mod signin_code;
pub mod signup;
mod story;
pub mod team;
pub mod tokens;
pub mod uncertain;
pub mod watches;
pub mod webhooks;
pub mod when;
pub mod words;

use crate::app::App;
use askama::Template;
use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

pub use assets::asset_path;
pub use frame::{Frame, Notice, PauseBar, Section, TeamChoice};
pub use marks::{Icon, Mark, Tone, icon};
pub use when::{ago, moment, rel, when};
pub use words::WebLink;

/// Every address that a browser shows, and the forms of those pages.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::root))
        .route("/signin", get(signin_clerk::show).post(signin::submit))
        .route("/signup", get(signup::show).post(signup::submit))
        .route("/invite", get(invite::show))
        .route("/invite/join", post(invite::join))
        .route("/invite/account", post(invite::make_account))
        .route("/signin/code", get(signin_code::show).post(signin_code::submit))
        .route("/forgot", get(forgot::show).post(forgot::submit))
        .route("/reset", get(forgot::show_reset).post(forgot::submit_reset))
        .route("/data-deletion/{code}", get(deletion::show))
        .route("/signout", post(signin::sign_out))
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/enter", get(setup::enter))
        .route("/dashboard", get(home::dashboard))
        .route("/dashboard/inbox", get(inbox::show))
        .route("/dashboard/inbox/list", get(inbox::list_part))
        .route("/dashboard/inbox/thread", get(inbox::thread_part))
        .route("/dashboard/inbox/draft", get(inbox::draft_part))
        .route("/dashboard/items/{item_id}/draft", post(decide::ask))
        .route("/dashboard/items/{item_id}/done", post(decide::done))
        .route("/dashboard/suggestions/{id}", get(home::suggestion))
        .route("/dashboard/suggestions/{id}/approve", post(decide::approve))
        .route("/dashboard/suggestions/{id}/reject", post(decide::reject))
        .route("/dashboard/suggestions/{id}/undo", post(decide::undo))
        .route("/dashboard/suggestions/{id}/regenerate", post(decide::regenerate))
        .route("/dashboard/suggestions/{id}/send", post(decide::send))
        .route("/dashboard/suggestions/{id}/retry", post(decide::retry))
        .route("/dashboard/suggestions/{id}/resolve", post(decide::resolve))
        .route("/dashboard/suggestions/{id}/unpublish", post(decide::unpublish))
        .route("/dashboard/suggestions/{id}/revise", post(decide::revise))
        .route("/dashboard/suggestions/{id}/autosave", post(decide::autosave))
        .route("/dashboard/length/{platform}", post(counted::show))
        .route("/dashboard/accounts", get(accounts::show))
        .route("/dashboard/accounts/complete", post(accounts::complete))
        .route("/dashboard/accounts/{platform}/connect", post(accounts::connect))
        .route("/dashboard/accounts/{integration_id}/pause", post(accounts::pause))
        .route("/dashboard/accounts/{integration_id}/resume", post(accounts::resume))
        .route("/dashboard/accounts/{integration_id}/disconnect", post(accounts::disconnect))
        .route("/dashboard/accounts/{integration_id}/confirm-policy", post(accounts::confirm_policy))
        .route("/dashboard/watches", get(watches::show).post(watches::create))
        .route("/dashboard/watches/{watch_id}/on", post(watches::turn_on))
        .route("/dashboard/watches/{watch_id}/off", post(watches::turn_off))
        .route("/dashboard/watches/{watch_id}/delete", post(watches::delete))
        .route("/dashboard/etiquette", get(etiquette::show))
        .route("/dashboard/rule-pauses/{rule_pause_id}/lift", post(etiquette::lift_pause))
        .route("/dashboard/opt-outs/{opt_out_id}/lift", post(etiquette::lift_opt_out))
        .route("/dashboard/intents", get(intents::show).post(intents::create))
        .route("/dashboard/intents/{intent_id}", post(intents::update))
        .route("/dashboard/intents/{intent_id}/delete", post(intents::delete))
        .route("/dashboard/intents/{intent_id}/variations", post(intents::add_variation))
        .route("/dashboard/variations/{variation_id}", post(intents::update_variation))
        .route("/dashboard/variations/{variation_id}/delete", post(intents::delete_variation))
        .route("/dashboard/account", get(account::show))
        .route("/dashboard/account/password", post(account::change_password))
        .route("/dashboard/account/totp", post(account::begin_totp))
        .route("/dashboard/account/totp/confirm", post(account::confirm_totp))
        .route("/dashboard/account/totp/disable", post(account::end_totp))
        .route("/dashboard/account/sessions/end-others", post(account::end_others))
        .route("/dashboard/account/sessions/{session_id}/end", post(account::end_session))
        .route("/dashboard/frame", get(frame::show))
        .route("/dashboard/pause", post(accounts::pause_team))
        .route("/dashboard/resume", post(accounts::resume_team))
        .route("/dashboard/notices", get(notices::show))
        .route("/dashboard/notices/{notice_id}/dismiss", post(notices::dismiss))
        .route("/dashboard/team", get(team::show))
        .route("/dashboard/team/switch", post(team::switch))
        .route("/dashboard/team/new", post(team::found))
        .route("/dashboard/team/name", post(team::rename))
        .route("/dashboard/team/owner", post(team::hand_over))
        .route("/dashboard/team/leave", post(team::leave))
        .route("/dashboard/team/members/{user_id}/role", post(team::change_role))
        .route("/dashboard/team/members/{user_id}/remove", post(team::remove))
        .route("/dashboard/team/invitations", post(team::invite))
        .route("/dashboard/team/invitations/{id}/renew", post(team::renew))
        .route("/dashboard/team/invitations/{id}/withdraw", post(team::withdraw))
        .route("/dashboard/settings", get(settings::show).post(settings::change))
        .route("/dashboard/platform-apps", get(platform_apps::show))
        .route("/dashboard/platform-apps/{platform}", post(platform_apps::set))
        .route("/dashboard/platform-apps/{platform}/remove", post(platform_apps::remove))
        .route("/dashboard/tokens", get(tokens::show).post(tokens::create))
        .route("/dashboard/tokens/{token_id}/revoke", post(tokens::revoke))
        .route("/dashboard/uncertain", get(uncertain::show))
        .route("/dashboard/webhooks", get(webhooks::show).post(webhooks::create))
        .route("/dashboard/webhooks/{webhook_id}", post(webhooks::update))
        .route("/dashboard/webhooks/{webhook_id}/enable", post(webhooks::enable))
        .route("/dashboard/webhooks/{webhook_id}/disable", post(webhooks::disable))
        .route("/dashboard/webhooks/{webhook_id}/rotate-secret", post(webhooks::rotate))
        .route("/dashboard/webhooks/{webhook_id}/test", post(webhooks::test))
        .route("/dashboard/webhooks/{webhook_id}/replay", post(webhooks::replay_span))
        .route("/dashboard/webhooks/{webhook_id}/delete", post(webhooks::delete))
        .route("/dashboard/webhook-deliveries/{delivery_id}/replay", post(webhooks::replay))
        .route("/dashboard/activity", get(activity::show))
        .route("/dashboard/{*rest}", any(home::nothing_here))
        .route(assets::ROUTE, get(assets::serve))
}

/// What a page of ours may load and where its forms may go.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Renders a page or a fragment with the headers that every one of them carries.
pub fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    respond(status, template, HeaderValue::from_static(CSP))
}

/// Like [`page`], for pages whose forms end on a platform's consent page. Browsers apply `form-action` to the
/// redirect after a form as well, so the authorize origins must be named ("https://www.reddit.com").
pub fn page_with_form_origins<T: Template>(status: StatusCode, template: &T, origins: &[&str]) -> Response {
    let allowed = format!("form-action 'self' {}", origins.join(" "));
    let csp = CSP.replace("form-action 'self'", allowed.trim_end());
    match HeaderValue::from_str(&csp) {
        Ok(value) => respond(status, template, value),
        // An origin that is no header text can be no origin: keep the strict form.
        Err(_) => page(status, template),
    }
}

fn respond<T: Template>(status: StatusCode, template: &T, csp: HeaderValue) -> Response {
    match template.render() {
        Ok(html) => (status, headers(csp, "text/html; charset=utf-8"), html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            let text = "This page could not be drawn. Nothing was changed. Reload it, please.\n";
            let headers = headers(csp, "text/plain; charset=utf-8");
            (StatusCode::INTERNAL_SERVER_ERROR, headers, text).into_response()
        }
    }
}

fn headers(csp: HeaderValue, content_type: &'static str) -> [(HeaderName, HeaderValue); 5] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, csp),
        // Pages hold strangers' texts and a form token: no cache keeps them, not even the browser's.
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ]
}

#[cfg(test)]
mod tests;
