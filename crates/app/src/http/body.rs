//! Reading JSON bodies and query strings so that a mistake is answered with the name of the field.

use crate::error::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A JSON body. Types derive `deny_unknown_fields`, so that a misspelt field is an error and not ignored.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let names_kind = request.headers().contains_key(header::CONTENT_TYPE);
        let is_json =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
            });
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large()
            } else {
                Problem::bad_request("The body could not be read to its end. Send it again.")
            }
        })?;
        // No body at all is an empty object, whatever it is called.
        let nothing_sent = bytes.is_empty() && !names_kind;
        if !is_json && !nothing_sent {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The body is not JSON",
                "Send the body as JSON with the header Content-Type: application/json.",
            ));
        }
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

pub(super) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The body is too large",
        "A body may have at most 256 KiB.",
    )
}

/// The body of a POST that says everything by its address: nothing, or an empty object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Parses a JSON object; errors name the path of the field.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check_is_object(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe(&error, bytes))?;
    deserializer
        .end()
        .map_err(|_| Problem::bad_request("The body goes on after the JSON value. Send one value only."))?;
    Ok(value)
}

/// serde would take a list as well, its values for the fields in their order.
fn check_is_object(bytes: &[u8]) -> Result<(), Problem> {
    let opened = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if opened || serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return Ok(());
    }
    Err(Problem::field("body", "must be a JSON object with named fields"))
}

fn describe(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Problem {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() {
        // What is no text where one of a few words is due counts as syntax for serde.
        if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
            return Problem::field(error.path().to_string(), "must be a text, one of the values that are named for it");
        }
        return Problem::bad_request(format!(
            "The body is not valid JSON at line {}, column {}.",
            inner.line(),
            inner.column()
        ));
    }
    let text = inner.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    // serde names unknown and missing fields in the message only.
    let named = message
        .split('`')
        .nth(1)
        .filter(|_| message.starts_with("unknown field") || message.starts_with("missing field"));
    let path = error.path().to_string();
    let field = match (path.as_str(), named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "body".to_owned(),
        (parent, Some(name)) if !parent.ends_with(name) => format!("{parent}.{name}"),
        (own, _) => own.to_owned(),
    };
    Problem::field(field, message)
}

/// A query string; unknown and wrong parameters are named.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let message = text.rsplit("string: ").next().unwrap_or(&text).to_owned();
                let field = message.split([':', '`']).next().unwrap_or("query").trim().to_owned();
                let field = if field.contains(' ') || field.is_empty() {
                    message.split('`').nth(1).unwrap_or("query").to_owned()
                } else {
                    field
                };
                let message = message.strip_prefix(&format!("{field}: ")).unwrap_or(&message).to_owned();
                Problem::field(field, message)
            })
    }
}

/// An id in the path; anything that is no id cannot exist.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| Problem::not_found("address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: Option<String>,
        version: Option<i32>,
    }

    fn refused<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> (u16, String) {
        let problem = parse::<T>(body.as_bytes()).unwrap_err();
        (problem.status, problem.errors.first().map(|error| error.field.clone()).unwrap_or_default())
    }

    #[test]
    fn only_an_object_is_taken_and_each_fault_names_its_field() {
        let taken: Named = parse(b" {\"name\": \"Thanks\"}").unwrap();
        assert_eq!((taken.name.as_deref(), taken.version), (Some("Thanks"), None));
        for body in ["[\"Thanks\", 1]", "[\"Thanks\"]", "[]", "null", "\"Thanks\"", "7"] {
            assert_eq!(refused::<Named>(body), (422, "body".to_owned()), "{body}");
        }
        for body in ["", "[", "{", "{}{}", "nul"] {
            assert_eq!(refused::<Named>(body).0, 400, "{body}");
        }
        assert_eq!(refused::<Named>("{\"version\": 3000000000}"), (422, "version".to_owned()));
        assert_eq!(refused::<Named>("{\"nmae\": \"Thanks\"}"), (422, "nmae".to_owned()));
    }

    #[derive(Debug, Deserialize)]
    struct WithRole {
        #[allow(dead_code, reason = "read by serde alone")]
        role: crate::model::Role,
    }

    #[test]
    fn what_is_no_word_where_one_is_due_is_a_fault_of_its_field_not_of_the_json() {
        for body in ["{\"role\": null}", "{\"role\": 7}", "{\"role\": []}", "{\"role\": {}}", "{\"role\": \"god\"}"] {
            assert_eq!(refused::<WithRole>(body), (422, "role".to_owned()), "{body}");
        }
        assert_eq!(refused::<WithRole>("{\"role\": nul}").0, 400);
    }

    #[test]
    fn where_nothing_is_to_be_said_nothing_is_taken() {
        assert!(parse::<Nothing>(b"{}").is_ok());
        assert_eq!(refused::<Nothing>("{\"autoPost\": true}"), (422, "autoPost".to_owned()));
        assert_eq!(refused::<Nothing>("[]"), (422, "body".to_owned()));
    }
}
