//! What a check found, and how it is told: a line for people, JSON for scripts.

use serde::Serialize;
use serde_json::{Value, json as value};
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Fail,
    /// Could not be looked at, because of another finding.
    Skip,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Short and stable, for scripts.
    pub check: &'static str,
    pub state: State,
    /// What is so, as a sentence.
    pub text: String,
    /// What to do about it.
    pub todo: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, state: State::Ok, text: text.into(), todo: None }
    }

    pub(super) fn warn(check: &'static str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Warn, text: text.into(), todo: Some(todo.into()) }
    }

    pub(super) fn fail(check: &'static str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Fail, text: text.into(), todo: Some(todo.into()) }
    }

    pub(super) fn skip(check: &'static str) -> Self {
        let text = "Not looked at: it needs the database.".to_owned();
        Self { check, state: State::Skip, text, todo: None }
    }
}

/// One line each, then their sum.
pub fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut lines = String::new();
    for Finding { check, state, text, todo } in findings {
        let word = match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
            State::Skip => "skip",
        };
        let todo = todo.as_ref().map(|todo| format!(" {todo}")).unwrap_or_default();
        let line = format!("{text}{todo}").replace(['\n', '\r'], " ");
        writeln!(lines, "{word:<5} {check:<width$}  {line}").expect("a String takes every write");
    }
    let (failed, warned) = (count(findings, State::Fail), count(findings, State::Warn));
    let sum = match (failed, warned) {
        (0, 0) => "Everything is fine.".to_owned(),
        (0, warned) => format!("It works; {} to look at.", plural(warned, "warning")),
        (failed, warned) => format!("{} and {}.", plural(failed, "failure"), plural(warned, "warning")),
    };
    lines + &sum + "\n"
}

/// For scripts: `ok` is false where a check failed.
pub fn json(findings: &[Finding]) -> Value {
    let (failures, warnings) = (count(findings, State::Fail), count(findings, State::Warn));
    value!({ "ok": failures == 0, "failures": failures, "warnings": warnings, "checks": findings })
}

fn count(findings: &[Finding], state: State) -> usize {
    findings.iter().filter(|finding| finding.state == state).count()
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_one_line_and_the_last_one_sums_up() {
        let all = [
            Finding::ok("database", "It answers."),
            Finding::warn("clock", "It is late.\nBy 3 s.", "Start a time service."),
            Finding::fail("ai", "It is away.", "Look there."),
            Finding::skip("queue"),
        ];
        assert_eq!(
            lines(&all),
            "ok    database  It answers.\n\
             warn  clock     It is late. By 3 s. Start a time service.\n\
             FAIL  ai        It is away. Look there.\n\
             skip  queue     Not looked at: it needs the database.\n\
             1 failure and 1 warning.\n"
        );
        assert!(lines(&all[..1]).ends_with("Everything is fine.\n"));
        assert!(lines(&all[..2]).ends_with("It works; 1 warning to look at.\n"));
        let told = json(&all);
        assert_eq!((&told["ok"], &told["failures"], &told["warnings"]), (&value!(false), &value!(1), &value!(1)));
        assert_eq!(
            told["checks"][2],
            value!({ "check": "ai", "state": "fail", "text": "It is away.", "todo": "Look there." })
        );
        assert_eq!(json(&all[..2])["ok"], true);
    }
}
