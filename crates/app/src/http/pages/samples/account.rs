//! Samples of the page of one's own account.

use super::super::account::{AccountPage, Factor, Form, Refused, SessionLine};
use super::super::qr;
use super::{HOSTILE, NOW, ago, frame, id, troubled_frame};
use time::Duration;

fn session(number: u128, device: &str, seen_minutes: i64) -> SessionLine {
    let seen = ago(seen_minutes);
    let current = number == 1;
    SessionLine { id: id(number), device: device.to_owned(), since: seen - Duration::days(3), seen, current }
}

pub fn pages() -> Vec<(&'static str, AccountPage)> {
    let off = AccountPage {
        frame: frame(),
        email: Some("ada@acme.example".to_owned()),
        has_password: true,
        done: None,
        refused: None,
        factor: Factor::Off,
        sessions: vec![
            session(1, "Firefox on Linux", 2),
            session(2, "Safari on iPhone", 190),
            session(3, "Samsung Internet on Android", 20_000),
        ],
    };
    let address = "otpauth://totp/Rejoinder%20replies.acme.example:ada@acme.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Rejoinder";
    let begun = AccountPage {
        factor: Factor::Begun {
            secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".to_owned(),
            picture: qr::picture(address),
        },
        ..off.clone()
    };
    let refused = |form, field: Option<&str>, why: &str| {
        Some(Refused { form, field: field.map(str::to_owned), why: why.to_owned() })
    };
    let wrong_code = AccountPage {
        refused: refused(Form::Factor, Some("code"), "This code is wrong, too old or was used already."),
        ..begun.clone()
    };
    let codes = (0..10).map(|n| format!("JBSW-Y3DP-EHPK-3PX{}", char::from(b'A' + n))).collect();
    let just_on = AccountPage { factor: Factor::JustOn { codes }, ..off.clone() };
    let on = AccountPage {
        factor: Factor::On { since: NOW - Duration::days(40), codes_left: 1 },
        done: Some("Your password is changed. All other sessions were signed out.".to_owned()),
        sessions: off.sessions[..1].to_vec(),
        ..off.clone()
    };
    let wrong_off = AccountPage {
        factor: Factor::On { since: NOW - Duration::days(40), codes_left: 0 },
        done: None,
        refused: refused(Form::Factor, Some("password"), "This is not your password."),
        ..on.clone()
    };
    let wrong_password = AccountPage {
        refused: refused(Form::Password, Some("new_password"), "Use at least 10 characters."),
        ..off.clone()
    };
    let hostile = AccountPage {
        frame: troubled_frame(),
        email: Some(HOSTILE.to_owned()),
        refused: refused(Form::Password, None, HOSTILE),
        sessions: vec![session(1, HOSTILE, 1), session(2, HOSTILE, 2)],
        ..off.clone()
    };
    let elsewhere = AccountPage { has_password: false, email: None, ..on.clone() };
    vec![
        ("off", off),
        ("wrong-password", wrong_password),
        ("begun", begun),
        ("wrong-code", wrong_code),
        ("just-on", just_on),
        ("on", on),
        ("wrong-off", wrong_off),
        ("hostile", hostile),
        ("no-password", elsewhere),
    ]
}
