//! The document as the page for people shows it: by tag, with the examples.

use super::complete;
use serde_json::Value;
use std::collections::BTreeMap;

/// One route as the page for people shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Route {
    pub method: String,
    pub path: String,
    pub summary: String,
    pub about: String,
    /// Least role, `caller` or `none`.
    pub role: String,
    /// An example of the body.
    pub body: Option<String>,
    pub answers: Vec<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Answer {
    pub status: String,
    pub meaning: String,
    /// Of the good ones; the problems all have one shape.
    pub example: Option<String>,
}

/// All routes, grouped by their tag.
pub(in crate::http) fn by_tag() -> Vec<(String, Vec<Route>)> {
    let document = serde_json::to_value(complete()).expect("a document of plain values is always valid JSON");
    let mut groups: BTreeMap<String, Vec<Route>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
            groups.entry(tag).or_default().push(route(&document, method, path, operation));
        }
    }
    groups.into_iter().collect()
}

fn route(document: &Value, method: &str, path: &str, operation: &Value) -> Route {
    let text = |field: &str| operation[field].as_str().unwrap_or_default().to_owned();
    let answers = operation["responses"].as_object().into_iter().flatten().map(|(status, answer)| {
        let answer = answer["$ref"]
            .as_str()
            .and_then(|reference| document.pointer(reference.trim_start_matches('#')))
            .unwrap_or(answer);
        Answer {
            status: status.clone(),
            meaning: answer["description"].as_str().unwrap_or_default().to_owned(),
            example: example_of(&answer["content"]),
        }
    });
    Route {
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text("summary"),
        about: text("description"),
        role: text("x-role"),
        body: example_of(&operation["requestBody"]["content"]),
        answers: answers.collect(),
    }
}

fn example_of(content: &Value) -> Option<String> {
    let example = content.get("application/json")?.get("example")?;
    serde_json::to_string_pretty(example).ok()
}
