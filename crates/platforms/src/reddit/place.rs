//! A community's rules, and whether it lets us in at all: a closed door answers 403 or 404 and names the reason.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Access, AppliesTo, Place, PlaceRule, Session};
use serde_json::Value;

pub(super) async fn place(api: &Api, session: &Session, community: &str) -> Result<Place, FetchError> {
    let name = calls::community_name(community)?;
    let answer = api.get(&session.access_token, &["r", name, "about", "rules"], &[], Scope::Item).await;
    let (access, rules) = match answer {
        Ok(answer) => (Access::Open, rules(&answer.body)?),
        Err(error) => (closed(&error).ok_or(error)?, Vec::new()),
    };
    Ok(Place { name: name.to_owned(), access, rules })
}

/// What a refusal says about the community; None where it says nothing about it.
pub(super) fn closed(error: &FetchError) -> Option<Access> {
    let FetchError::Refused { code, scope: Scope::Item, .. } = error else {
        return None;
    };
    match code.to_ascii_lowercase().as_str() {
        // For paying members or approved people only: closed to us all the same.
        "private" | "gold_only" | "premium_only" | "employees_only" | "subreddit_noaccess" => Some(Access::Private),
        "quarantined" => Some(Access::Quarantined),
        "banned" => Some(Access::Banned),
        // A redirect leads to a search for the name.
        "http_404" | "page_not_found" | "redirect" | "subreddit_noexist" => Some(Access::Missing),
        _ => None,
    }
}

pub(super) fn rules(body: &Value) -> Result<Vec<PlaceRule>, FetchError> {
    let rules = body.get("rules").and_then(Value::as_array);
    let rules = rules.ok_or_else(|| FetchError::Unavailable("the rules came in an unknown form".to_owned()))?;
    Ok(rules.iter().filter_map(rule).collect())
}

/// None for one that says nothing.
fn rule(rule: &Value) -> Option<PlaceRule> {
    let word = |key| wire::text(rule, key).map(str::trim).filter(|text| !text.is_empty());
    let description = word("description").unwrap_or_default().to_owned();
    let title = word("short_name").or_else(|| word("violation_reason"));
    let title = title.or((!description.is_empty()).then_some("Rule"))?.to_owned();
    let applies_to = match word("kind") {
        Some("link") => AppliesTo::Posts,
        Some("comment") => AppliesTo::Comments,
        _ => AppliesTo::All,
    };
    Some(PlaceRule { title, description, applies_to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_without_words_is_left_out_and_an_unknown_kind_counts_for_all() {
        let told = rules(&json!({"rules": [
            {"kind": "link", "short_name": " No ads ", "description": "Really.", "priority": 0},
            {"kind": "comment", "short_name": null, "violation_reason": "Be kind"},
            {"kind": "something_new", "short_name": "Be brief"},
            {"description": "Only a text."},
            {"kind": "all", "short_name": ""}, 7, null,
        ], "site_rules": []}))
        .unwrap();
        let told: Vec<_> = told.iter().map(|rule| (rule.title.as_str(), rule.applies_to)).collect();
        let expected = [
            ("No ads", AppliesTo::Posts),
            ("Be kind", AppliesTo::Comments),
            ("Be brief", AppliesTo::All),
            ("Rule", AppliesTo::All),
        ];
        assert_eq!(told, expected);
        assert!(rules(&json!({"rules": "none"})).is_err());
    }
}
