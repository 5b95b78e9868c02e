//! JSON endpoints, one file per resource. `routes!` is the one list: the router and the OpenAPI document both come from it.
//!
//! Always: who may call stands in the handler's signature; a change is one transaction that the handler begins and commits; errors
//! are `Problem`s. No SQL here.

mod activity;
mod clerk_webhook;
mod connect;
mod deliveries;
mod docs;
mod etiquette;
mod health;
mod integrations;
mod intents;
mod invitations;
mod items;
mod me;
mod members;
mod meta_callbacks;
mod meta_webhook;
mod notices;
mod own_account;
mod own_sessions;
pub(super) mod paging;
mod pause;
mod platform_apps;
mod posted_replies;
mod posts;
mod settings;
mod suggestion_answers;
mod suggestion_reads;
mod suggestions;
mod teams;
mod tokens;
mod usage;
mod watches;
mod webhooks;
mod x_webhook;

use super::auth::{Demand, demand_of};
use super::events;
use crate::app::App;
use axum::Router;
use axum::routing;
use utoipa::OpenApi;

macro_rules! routes {
    ($($method:ident $path:literal $module:ident::$handler:ident;)+) => {
        pub fn routes() -> Router<App> {
            Router::new()$(.route($path, routing::$method($module::$handler)))+
        }

        /// Method and path of every route.
        #[cfg(test)]
        pub(super) const TABLE: &[(&str, &str)] = &[$((stringify!($method), $path)),+];

        /// What each route asks of its caller, from its handler's signature.
        pub(super) fn demands() -> Vec<(&'static str, &'static str, Demand)> {
            vec![$((stringify!($method), $path, demand_of(&$module::$handler))),+]
        }

        /// The document as the handlers describe themselves; `http::openapi` completes it.
        #[derive(OpenApi)]
        #[openapi(paths($($module::$handler),+))]
        pub(super) struct Described;
    };
}

routes! {
    get    "/api/health"                                        health::health;
    get    "/api/ready"                                         health::ready;
    get    "/api/openapi.json"                                  docs::openapi_json;
    get    "/api/docs"                                          docs::docs_page;
    get    "/api/auth/verify"                                   me::verify;
    get    "/api/me"                                            me::me;
    post   "/api/me/password"                                   own_account::change_password;
    get    "/api/me/sessions"                                   own_sessions::list_sessions;
    delete "/api/me/sessions"                                   own_sessions::end_other_sessions;
    delete "/api/me/sessions/{id}"                              own_sessions::end_session;
    get    "/api/me/totp"                                       own_account::totp_status;
    post   "/api/me/totp"                                       own_account::begin_totp;
    post   "/api/me/totp/confirm"                               own_account::confirm_totp;
    post   "/api/me/totp/disable"                               own_account::end_totp;
    post   "/api/webhooks/clerk"                                clerk_webhook::clerk_webhook;
    get    "/api/webhooks/meta/instagram"                       meta_webhook::verify_instagram_webhook;
    post   "/api/webhooks/meta/instagram"                       meta_webhook::instagram_webhook;
    post   "/api/webhooks/meta/deauthorize"                     meta_callbacks::deauthorize;
    post   "/api/webhooks/meta/data-deletion"                   meta_callbacks::delete_data;
    get    "/api/webhooks/x"                                    x_webhook::verify_x_webhook;
    post   "/api/webhooks/x"                                    x_webhook::x_webhook;
    get    "/api/teams"                                         teams::list_teams;
    post   "/api/teams"                                         teams::create_team;
    get    "/api/teams/{team_id}"                               teams::get_team;
    patch  "/api/teams/{team_id}"                               teams::update_team;
    post   "/api/teams/{team_id}/owner"                         teams::transfer_team;
    get    "/api/teams/{team_id}/members"                       members::list_members;
    patch  "/api/teams/{team_id}/members/{user_id}"             members::update_member;
    delete "/api/teams/{team_id}/members/{user_id}"             members::remove_member;
    get    "/api/teams/{team_id}/invitations"                   invitations::list_invitations;
    post   "/api/teams/{team_id}/invitations"                   invitations::create_invitation;
    delete "/api/teams/{team_id}/invitations/{id}"              invitations::withdraw_invitation;
    post   "/api/teams/{team_id}/invitations/{id}/renew"        invitations::renew_invitation;
    post   "/api/invitations/preview"                           invitations::preview_invitation;
    post   "/api/invitations/accept"                            invitations::accept_invitation;
    get    "/api/teams/{team_id}/integrations"                  integrations::list_integrations;
    get    "/api/integrations/{platform}/oauth/start"           connect::oauth_start;
    post   "/api/integrations/{platform}/oauth/start"           connect::oauth_start_post;
    get    "/api/integrations/{platform}/oauth/callback"        connect::oauth_callback;
    post   "/api/integrations/complete"                         connect::complete_connection;
    post   "/api/integrations/choices"                          connect::connection_choices;
    post   "/api/integrations/{id}/refresh"                     integrations::refresh_integration;
    post   "/api/integrations/{id}/pause"                       pause::pause_integration;
    post   "/api/integrations/{id}/resume"                      pause::resume_integration;
    post   "/api/integrations/{id}/confirm-policy"              etiquette::confirm_policy;
    delete "/api/integrations/{id}"                             integrations::disconnect_integration;
    get    "/api/teams/{team_id}/watches"                       watches::list_watches;
    post   "/api/teams/{team_id}/watches"                       watches::create_watch;
    get    "/api/watches/{id}"                                  watches::get_watch;
    patch  "/api/watches/{id}"                                  watches::update_watch;
    delete "/api/watches/{id}"                                  watches::delete_watch;
    get    "/api/teams/{team_id}/opt-outs"                      etiquette::list_opt_outs;
    post   "/api/opt-outs/{id}/lift"                            etiquette::lift_opt_out;
    get    "/api/teams/{team_id}/rule-pauses"                   etiquette::list_rule_pauses;
    post   "/api/rule-pauses/{id}/lift"                         etiquette::lift_rule_pause;
    get    "/api/teams/{team_id}/items"                         items::list_items;
    post   "/api/items/{id}/done"                               items::item_done;
    post   "/api/items/{id}/answered-elsewhere"                 items::item_answered_elsewhere;
    get    "/api/teams/{team_id}/posts"                         posts::list_posts;
    get    "/api/posts/{post_id}"                               posts::get_post;
    get    "/api/posts/{post_id}/comments"                      posts::list_comments;
    post   "/api/posts/{post_id}/suggestions"                   suggestions::ask_suggestion;
    post   "/api/posts/{post_id}/post-comment"                  suggestions::post_comment;
    get    "/api/teams/{team_id}/suggestions"                   suggestion_reads::list_suggestions;
    get    "/api/suggestions/{id}"                              suggestion_reads::get_suggestion;
    get    "/api/suggestions/{id}/story"                        suggestion_reads::suggestion_story;
    patch  "/api/suggestions/{id}"                              suggestions::edit_suggestion;
    post   "/api/suggestions/{id}/approve"                      suggestions::approve_suggestion;
    post   "/api/suggestions/{id}/reject"                       suggestions::reject_suggestion;
    post   "/api/suggestions/{id}/send"                         suggestions::send_suggestion;
    post   "/api/suggestions/{id}/undo"                         suggestions::undo_suggestion;
    post   "/api/suggestions/{id}/resolve"                      suggestions::resolve_suggestion;
    post   "/api/suggestions/{id}/retry"                        suggestions::retry_suggestion;
    post   "/api/suggestions/{id}/unpublish"                    posted_replies::unpublish_suggestion;
    post   "/api/suggestions/{id}/revise"                       posted_replies::revise_suggestion;
    post   "/api/suggestions/{id}/regenerate"                   suggestions::regenerate_suggestion;
    get    "/api/teams/{team_id}/intents"                       intents::list_intents;
    post   "/api/teams/{team_id}/intents"                       intents::create_intent;
    get    "/api/intents/{id}"                                  intents::get_intent;
    patch  "/api/intents/{id}"                                  intents::update_intent;
    delete "/api/intents/{id}"                                  intents::delete_intent;
    post   "/api/intents/{id}/variations"                       intents::create_variation;
    patch  "/api/variations/{id}"                               intents::update_variation;
    delete "/api/variations/{id}"                               intents::delete_variation;
    get    "/api/teams/{team_id}/activity"                      activity::list_activity;
    get    "/api/teams/{team_id}/usage"                         usage::get_usage;
    get    "/api/teams/{team_id}/settings"                      settings::get_settings;
    patch  "/api/teams/{team_id}/settings"                      settings::change_settings;
    get    "/api/teams/{team_id}/platform-apps"                 platform_apps::list_platform_apps;
    put    "/api/teams/{team_id}/platform-apps/{platform}"      platform_apps::set_platform_app;
    delete "/api/teams/{team_id}/platform-apps/{platform}"      platform_apps::remove_platform_app;
    post   "/api/teams/{team_id}/pause"                         pause::pause_team;
    post   "/api/teams/{team_id}/resume"                        pause::resume_team;
    get    "/api/teams/{team_id}/notices"                       notices::list_notices;
    post   "/api/notices/{id}/dismiss"                          notices::dismiss_notice;
    get    "/api/teams/{team_id}/webhooks"                      webhooks::list_webhooks;
    post   "/api/teams/{team_id}/webhooks"                      webhooks::create_webhook;
    get    "/api/webhook-endpoints/{id}"                        webhooks::get_webhook;
    patch  "/api/webhook-endpoints/{id}"                        webhooks::change_webhook;
    delete "/api/webhook-endpoints/{id}"                        webhooks::delete_webhook;
    post   "/api/webhook-endpoints/{id}/rotate-secret"          webhooks::rotate_webhook_secret;
    post   "/api/webhook-endpoints/{id}/test"                   webhooks::test_webhook;
    post   "/api/webhook-endpoints/{id}/replay"                 webhooks::replay_webhook;
    get    "/api/webhook-endpoints/{id}/deliveries"             webhooks::list_webhook_deliveries;
    post   "/api/webhook-deliveries/{id}/replay"                webhooks::replay_webhook_delivery;
    get    "/api/teams/{team_id}/events"                        events::team_events;
    post   "/api/teams/{team_id}/events/ticket"                 events::make_ticket;
    get    "/api/tokens"                                        tokens::list_tokens;
    post   "/api/tokens"                                        tokens::create_token;
    delete "/api/tokens/{id}"                                   tokens::revoke_token;
}
