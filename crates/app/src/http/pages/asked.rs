//! How the browser asked: for a whole page or, through htmx, for a part of one, and what the page around it shows.

use super::inbox_list::Filter;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use url::{Url, form_urlencoded};

#[derive(Debug, Clone)]
pub struct Asked {
    /// htmx puts the answer into the page that stands.
    pub part: bool,
    /// Filter and search of the list beside the form.
    pub filter: Filter,
    pub query: String,
}

impl Asked {
    fn read(headers: &HeaderMap) -> Self {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let around = header(HeaderName::from_static("hx-current-url")).or_else(|| header(header::REFERER));
        let around = around.and_then(|text| Url::parse(text).ok());
        let value_of = |name: &str| {
            let pairs = around.as_ref()?.query_pairs();
            pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        Self {
            part: is_part(headers),
            filter: value_of("filter").and_then(|slug| Filter::parse(&slug)).unwrap_or(Filter::Waiting),
            query: value_of("q").unwrap_or_default(),
        }
    }

    /// An address of the inbox with the list as it stands and these pairs.
    pub fn inbox(&self, pairs: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("filter", self.filter.slug());
        if !self.query.is_empty() {
            query.append_pair("q", &self.query);
        }
        query.extend_pairs(pairs);
        format!("/dashboard/inbox?{}", query.finish())
    }

    /// Sends the whole page to an address of ours.
    pub fn go(&self, to: &str) -> Response {
        if !self.part {
            return see_other(to);
        }
        let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/dashboard"));
        (StatusCode::OK, [(HeaderName::from_static("hx-redirect"), to)]).into_response()
    }
}

pub fn is_part(headers: &HeaderMap) -> bool {
    headers.get("hx-request").is_some_and(|value| value == "true")
}

/// 303: the browser reads the address with GET.
pub fn see_other(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/dashboard"));
    let headers = [(header::LOCATION, to), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_leads_back_to_the_list_as_it_stood() {
        let mut headers = HeaderMap::new();
        let around = "https://replies.example/dashboard/inbox?filter=all&q=a%26b&item=1&step=draft";
        headers.insert(header::REFERER, HeaderValue::from_static(around));
        let asked = Asked::read(&headers);
        assert!(!asked.part);
        assert_eq!(asked.inbox(&[("item", "2")]), "/dashboard/inbox?filter=all&q=a%26b&item=2");
        headers.insert("hx-request", HeaderValue::from_static("true"));
        let answer = Asked::read(&headers).go("/dashboard/inbox");
        assert_eq!(answer.headers()["hx-redirect"], "/dashboard/inbox");
    }
}
