//! Samples of the accounts page.

use super::super::Mark;
use super::super::accounts::{
    AccountCard, AccountState, AccountsPage, ChoiceLine, Confirm, LoginOffer, Offer, Stopped,
};
use super::super::consent::ConsentOutcome;
use super::{HOSTILE, NOW, ago, ahead, frame, id, instagram, reddit, troubled_frame, x};
use crate::flow::usage;
use time::Duration;

fn card(number: u128, mark: Mark, name: &str, state: AccountState) -> AccountCard {
    AccountCard {
        id: id(number),
        mark,
        name: name.to_owned(),
        state,
        rhythm: None,
        meter: None,
        last_event_at: Some(ago(2)),
        events: None,
        last_poll_at: Some(ago(1)),
        token_until: Some(ahead(52)),
        scopes: ["identity", "read", "submit", "privatemessages"].map(str::to_owned).to_vec(),
        login: None,
        missing: vec![],
        policy_confirmed_at: number.is_multiple_of(2).then(|| ago(9_000)),
    }
}

fn offers() -> Vec<Offer> {
    let scopes = [
        ("identity", "to know which account it is"),
        ("read", "to read posts and comments around a mention"),
        ("submit", "to post the replies that you approve"),
    ];
    let scopes = scopes.map(|(scope, reason)| (scope.to_owned(), reason.to_owned())).to_vec();
    let missing = |name| {
        format!("Set {name}_CLIENT_ID and {name}_CLIENT_SECRET and restart the server; then it can be connected here.")
    };
    vec![
        Offer { mark: reddit(), scopes: scopes.clone(), logins: vec![], unavailable: None },
        Offer { mark: instagram(), scopes: scopes.clone(), logins: vec![by_facebook(scopes)], unavailable: None },
        Offer { mark: x(), scopes: vec![], logins: vec![], unavailable: Some(missing("X")) },
    ]
}

fn by_facebook(scopes: Vec<(String, String)>) -> LoginOffer {
    let [slug, name, suits] =
        ["facebook", "Facebook", "for an account that is linked to a Facebook Page on which you may moderate"]
            .map(str::to_owned);
    LoginOffer { slug, name, suits, scopes }
}

pub fn pages() -> Vec<(&'static str, AccountsPage)> {
    let full = AccountsPage {
        frame: super::super::Frame { account_problems: 1, ..frame() },
        just_connected: None,
        not_connected: None,
        confirm: None,
        stopped: None,
        accounts: vec![
            AccountCard {
                rhythm: Some("Read every 7 min instead of 2: the request budget of this client id is used by 200 accounts.".to_owned()),
                ..card(601, reddit(), "u/acme_coffee", AccountState::Connected)
            },
            AccountCard {
                ..card(
                    602,
                    reddit(),
                    "u/acme_support",
                    AccountState::Slow { sentence: "Reddit says: try again in 9 minutes. We will. Nothing is lost.".to_owned() },
                )
            },
            AccountCard {
                last_poll_at: Some(ago(190)),
                token_until: Some(NOW - Duration::hours(3)),
                ..card(
                    603,
                    instagram(),
                    "@acme.coffee",
                    AccountState::NeedsReconnect {
                        sentence: "Instagram no longer accepts our token since 11:00 UTC. New comments wait there until you connect again.".to_owned(),
                    },
                )
            },
        ],
        offers: offers(),
        may_change: true,
        may_pause: true,
        team_is_paused: false,
    };
    let spent = AccountState::Slow { sentence: format!("The last look did not bring everything: {}.", usage::SPENT) };
    let metered = AccountsPage {
        accounts: vec![AccountCard {
            meter: Some("$19.98 of $20.00 this month: posts read 1204, users read 830, posts 4".to_owned()),
            ..card(605, x(), "@acme_coffee", spent)
        }],
        frame: frame(),
        ..full.clone()
    };
    let empty = AccountsPage { accounts: vec![], frame: frame(), ..full.clone() };
    let first = vec![AccountCard {
        last_event_at: None,
        last_poll_at: None,
        ..card(601, reddit(), "u/acme_coffee", AccountState::Connected)
    }];
    let connected = AccountsPage { just_connected: Some(reddit()), accounts: first, frame: frame(), ..full.clone() };
    let lacks = [
        ("privatemessages", "answers and mentions in threads of others do not come in"),
        ("edit", "a reply that was posted cannot be corrected or taken back"),
    ];
    let partial = AccountsPage {
        just_connected: Some(reddit()),
        accounts: vec![AccountCard {
            last_event_at: None,
            last_poll_at: None,
            scopes: ["identity", "history", "read", "submit"].map(str::to_owned).to_vec(),
            missing: lacks.map(|(scope, without)| (scope.to_owned(), without.to_owned())).to_vec(),
            ..card(601, reddit(), "u/acme_coffee", AccountState::Connected)
        }],
        frame: frame(),
        ..full.clone()
    };
    let hostile_state = AccountState::Paused { sentence: HOSTILE.to_owned(), since: ago(9) };
    let hostile = AccountsPage {
        frame: troubled_frame(),
        accounts: vec![card(604, Mark::new("mastodon", HOSTILE), HOSTILE, hostile_state)],
        ..full.clone()
    };
    let paused_state = AccountState::Paused {
        sentence: "Ada Lovelace paused it: wrong price in our drafts. Nothing goes out; comments still come in, and what is approved waits.".to_owned(),
        since: ago(42),
    };
    let paused = AccountsPage {
        stopped: Some(Stopped { what: "u/acme_support".to_owned(), in_flight: 2, still_running: 0 }),
        accounts: vec![
            card(601, reddit(), "u/acme_coffee", AccountState::Connected),
            card(602, reddit(), "u/acme_support", paused_state),
        ],
        ..full.clone()
    };
    let declined = AccountsPage { not_connected: Some((reddit(), ConsentOutcome::Declined)), ..full.clone() };
    let confirm = AccountsPage {
        confirm: Some(Confirm {
            mark: reddit(),
            name: "u/acme_coffee".to_owned(),
            team_name: "Acme Coffee".to_owned(),
            ticket: "sample-ticket".to_owned(),
            choices: vec![],
        }),
        ..empty.clone()
    };
    let line = |id: &str, name: &str, place: &str| ChoiceLine {
        id: id.to_owned(),
        name: name.to_owned(),
        place: place.to_owned(),
    };
    let choose = AccountsPage {
        confirm: Some(Confirm {
            mark: instagram(),
            name: "@3 accounts".to_owned(),
            team_name: "Acme Coffee".to_owned(),
            ticket: "sample-ticket".to_owned(),
            choices: vec![
                line("1", "@acme.coffee", "Page Acme Coffee"),
                line("2", "@acme.berlin", "Page Acme Berlin"),
                line("3", HOSTILE, HOSTILE),
            ],
        }),
        ..empty.clone()
    };
    let viewer = AccountsPage { may_change: false, may_pause: false, ..paused.clone() };
    vec![
        ("full", full),
        ("metered", metered),
        ("empty", empty),
        ("just-connected", connected),
        ("partial-consent", partial),
        ("hostile", hostile),
        ("paused", paused),
        ("declined", declined),
        ("confirm", confirm),
        ("choose", choose),
        ("viewer", viewer),
    ]
}
