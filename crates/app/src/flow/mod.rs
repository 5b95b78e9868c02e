//! From an event on a platform to one public reply, in stages. Each stage owns its tables and is their only writer; it hands over
//! only by enqueueing the next stage's job in its own transaction. No transaction is open during a network call.
//!
//! | stage        | who acts                | writes                                              | hands over to        |
//! |--------------|-------------------------|-----------------------------------------------------|----------------------|
//! | `ingest`     | jobs `integration.poll`, `posts.look` | posts, comments, inbox_items                        | (a person asks)      |
//! | `suggest`    | job `ai.generate`       | through `suggestion`                                | a person             |
//! | `approve`    | a person                | draft_edits; through `suggestion`                   | job `post.send`      |
//! | `send`       | jobs `post.send`, `reply.act` | reply_slots, send_attempts, replies, platform_actions; through `suggestion` | the platform |
//! | `suggestion` | called by the three     | suggestions: every change of state in one function  |                      |
//! | `etiquette`  | ingest, send and people | opt_outs, rule_pauses; the gate reads them          |                      |
//! | `watches`    | job `watch.poll`, people | watches; through `ingest`                          | (a person asks)      |
//! | `places`     | job `place.read`        | places: communities, kept for a day                 |                      |
//! | `safety`     | approve and send asks it | nothing: pure checks of a text                      |                      |
//! | `intents`    | a person                | intents, intent_variations                          |                      |
//! | `notices`    | called by all           | notices: what a team must know without having asked | live events          |
//! | `usage`      | ingest and send         | nothing itself: the month's budget, through `coord::usage` | live events   |
//! | `activity`   | called by all           | activity_logs, in the transaction of each change    | live events, webhooks |
//! | `story`      | pages and the API        | nothing: a suggestion's life from the rows          |                      |

pub mod activity;
pub mod approve;
pub mod etiquette;
pub mod ingest;
pub mod intents;
pub mod notices;
pub mod places;
pub mod safety;
pub mod send;
pub mod story;
pub mod suggest;
pub mod suggestion;
pub mod usage;
pub mod watches;
