//! The one error shape of the HTTP API: RFC 9457 problem+json. A handler says `?`; whoever reads the answer learns what is wrong,
//! with what, and what to do next. Internal trouble is logged once, here, with its chain; its text never reaches the caller.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

/// Problem details as they go over the wire.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable address of the kind of problem; the last part is its code.
    #[serde(rename = "type", serialize_with = "address_of_kind")]
    #[schema(example = "/problems/not-found")]
    pub code: &'static str,
    #[schema(example = "Not found")]
    pub title: &'static str,
    #[schema(example = 404)]
    pub status: u16,
    /// What happened here and what to do next.
    #[schema(example = "There is no such suggestion, or it is another team's.")]
    pub detail: String,
    /// Also in the header `X-Request-Id`; name it when you ask for help.
    #[schema(value_type = Option<String>)]
    pub request_id: Option<Box<str>>,
    /// One entry per field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What stands there instead, where the request was about an older state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub current: Option<Box<Value>>,
    #[serde(skip)]
    pub retry_after_secs: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field in the body or the query ("variations[0].text").
    #[schema(example = "text")]
    pub field: String,
    #[schema(example = "is longer than 10000 characters")]
    pub message: String,
}

fn address_of_kind<S: Serializer>(code: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("/problems/{code}"))
}

pub type ApiResult<T> = Result<T, Problem>;

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            request_id: None,
            errors: Vec::new(),
            current: None,
            retry_after_secs: None,
        }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", detail)
    }

    /// One field is wrong: `field` is its path, `message` the reason and the next step.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let field = field.into();
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-field",
            "A field is not valid",
            format!("{field}: {message}"),
        );
        problem.errors.push(FieldError { field, message });
        problem
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// Also for things of other teams: whether they exist is not told.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            format!("There is no such {what}, or it is not visible to you."),
        )
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Not possible in this state", detail)
    }

    pub fn too_many(retry_after_secs: u64, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        problem.retry_after_secs = Some(u32::try_from(retry_after_secs).unwrap_or(u32::MAX));
        problem
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now", detail);
        problem.retry_after_secs = Some(2);
        problem
    }

    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something broke on our side",
            "Nothing was changed. Try again; if it stays, give the request id to whoever runs this server.",
        )
    }

    /// RFC 6750: what a 401 answers to who showed no token, and to who showed one that does not count.
    fn challenge(&self) -> Option<&'static str> {
        match (self.status, self.code) {
            (401, "not-signed-in") => Some("Bearer realm=\"rejoinder\""),
            (401, _) => Some("Bearer realm=\"rejoinder\", error=\"invalid_token\""),
            _ => None,
        }
    }

    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The error and what caused it, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if is_database_gone(&error) {
            tracing::warn!(error = %error, "database not reachable");
            return Self::unavailable("The database does not answer. Nothing was changed; try again in a few seconds.");
        }
        Self::internal(&error)
    }
}

/// Whether the database is away, as opposed to having said no.
pub fn is_database_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => true,
        // 57P0x: the server is shutting down or starting; 53300: no connection left.
        sqlx::Error::Database(db) => {
            db.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300")
        }
        _ => false,
    }
}

/// The name of the constraint that refused a write, if one did.
pub fn violated_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|db| db.constraint())
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.request_id = crate::request_id::current().map(String::into_boxed_str);
        let retry_after = self.retry_after_secs;
        let challenge = self.challenge();
        let told = self.clone();
        let mut response = (self.status_code(), Json(self)).into_response();
        // The dashboard draws a page from it.
        response.extensions_mut().insert(told);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(secs) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
