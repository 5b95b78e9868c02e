//! Samples of the API tokens page.

use super::super::tokens::{MadeToken, TokenForm, TokenLine, TokensPage};
use super::{HOSTILE, ago, ahead, frame, id, troubled_frame};
use crate::model::Role;

fn line(number: u128, name: &str, role: Role) -> TokenLine {
    TokenLine {
        id: id(number),
        name: name.to_owned(),
        role,
        effective: Some(role),
        last_signs: "x7Qw".to_owned(),
        made_by: "Ada Lovelace".to_owned(),
        made_at: ago(4_000),
        expires_at: None,
        last_used_at: None,
    }
}

pub fn pages() -> Vec<(&'static str, TokensPage)> {
    let form = TokenForm { role: "viewer".to_owned(), lasts: "90".to_owned(), ..TokenForm::default() };
    let lines = vec![
        TokenLine {
            last_used_at: Some(ago(3)),
            expires_at: Some(ahead(60_000)),
            ..line(901, "Nightly report", Role::Viewer)
        },
        TokenLine {
            effective: Some(Role::Viewer),
            made_by: "Grace".to_owned(),
            ..line(902, "Shop frontend", Role::Editor)
        },
        TokenLine { effective: None, last_used_at: Some(ago(90_000)), ..line(903, "Old importer", Role::Admin) },
        TokenLine { expires_at: Some(ago(100)), ..line(904, "Trial", Role::Editor) },
    ];
    let full = TokensPage {
        frame: frame(),
        lines,
        form: form.clone(),
        roles: Role::ALL.to_vec(),
        made: None,
        revoked: false,
        sees_all: true,
    };
    let made = MadeToken {
        name: "Nightly report".to_owned(),
        token: "rjn_2mQ0v8nqHq3fK1dZrX5aYtUo7wPcS9gLbEjR4iTkN6Mh1yVCQ".to_owned(),
    };
    let refused = |field: &str, message: &str| Some((field.to_owned(), message.to_owned()));
    let hostile = TokensPage {
        frame: troubled_frame(),
        lines: vec![TokenLine { made_by: HOSTILE.to_owned(), ..line(905, HOSTILE, Role::Viewer) }],
        form: TokenForm { name: HOSTILE.to_owned(), error: refused("name", HOSTILE), ..form.clone() },
        made: Some(MadeToken { name: HOSTILE.to_owned(), ..made.clone() }),
        ..full.clone()
    };
    let wrong = TokensPage {
        form: TokenForm {
            role: "admin".to_owned(),
            error: refused(
                "role",
                "A token can have at most your own role, editor. Ask an admin of the team for more.",
            ),
            ..form
        },
        roles: vec![Role::Viewer, Role::Editor],
        sees_all: false,
        ..full.clone()
    };
    vec![
        ("empty", TokensPage { lines: Vec::new(), roles: vec![Role::Viewer], sees_all: false, ..full.clone() }),
        ("full", full.clone()),
        ("made", TokensPage { made: Some(made), ..full.clone() }),
        ("revoked", TokensPage { revoked: true, ..full }),
        ("wrong", wrong),
        ("hostile", hostile),
    ]
}
