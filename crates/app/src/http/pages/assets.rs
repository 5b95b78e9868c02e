//! Style sheets, scripts and drawings, compiled into the binary. Each is served under a path with the hash of its
//! content, so browsers may keep it for ever and a new version is a new path. An unknown path answers 404.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The route of [`serve`].
pub const ROUTE: &str = "/assets/{file}";

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// One sheet for the browser, one file per concern for us. The tokens come first.
const SHEET: &str = concat!(
    include_str!("../../../assets/tokens.css"),
    include_str!("../../../assets/base.css"),
    include_str!("../../../assets/controls.css"),
    include_str!("../../../assets/frame.css"),
    include_str!("../../../assets/inbox.css"),
    include_str!("../../../assets/draft.css"),
    include_str!("../../../assets/pages.css"),
    include_str!("../../../assets/phone.css"),
);

/// Name that templates use, media type, content.
const SOURCES: &[(&str, &str, &[u8])] = &[
    ("app.css", CSS, SHEET.as_bytes()),
    ("htmx.js", JS, include_bytes!("../../../assets/vendor/htmx-2.0.11.min.js")),
    ("live.js", JS, include_bytes!("../../../assets/live.js")),
    ("draft.js", JS, include_bytes!("../../../assets/draft.js")),
    ("keys.js", JS, include_bytes!("../../../assets/keys.js")),
    ("copy.js", JS, include_bytes!("../../../assets/copy.js")),
    ("icon.svg", SVG, include_bytes!("../../../assets/icon.svg")),
];

struct Asset {
    name: &'static str,
    mime: &'static str,
    bytes: &'static [u8],
    /// "app-0123456789abcdef.css"
    file: String,
    etag: HeaderValue,
}

/// Computed once from constants; never changes afterwards.
static ASSETS: LazyLock<Vec<Asset>> =
    LazyLock::new(|| SOURCES.iter().map(|&(name, mime, bytes)| Asset::new(name, mime, bytes)).collect());

impl Asset {
    fn new(name: &'static str, mime: &'static str, bytes: &'static [u8]) -> Self {
        let hash: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("hex digits are header text");
        Self { name, mime, bytes, file: format!("{stem}-{hash}.{extension}"), etag }
    }
}

/// The path to link to. A name outside the table gives a path that answers 404; the test of all pages refuses it.
pub fn asset_path(name: &str) -> String {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => format!("/assets/{}", asset.file),
        None => format!("/assets/{name}"),
    }
}

/// Answers one file, to be kept for a year.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let cached =
        [(ETAG, asset.etag.clone()), (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"))];
    if headers.get(IF_NONE_MATCH) == Some(&asset.etag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let described = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.mime)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (cached, described, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_linked_file_may_be_kept_for_ever_and_is_not_sent_twice() {
        let path = asset_path("app.css");
        let file = path.trim_start_matches("/assets/").to_owned();
        let first = serve(Path(file.clone()), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        let mut again = HeaderMap::new();
        again.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(serve(Path(file), again).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn an_old_or_invented_path_answers_404() {
        for file in ["app.css", "app-0000000000000000.css", "../Cargo.toml"] {
            let answer = serve(Path(file.to_owned()), HeaderMap::new()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{file}");
        }
    }

    #[test]
    fn no_colour_is_written_outside_the_tokens() {
        let sheet = SHEET.split_once("/* end of tokens */").expect("the tokens end with a mark").1;
        for (number, line) in sheet.lines().enumerate() {
            assert!(!line.contains("rgb") && !line.contains("hsl"), "line {number}: {line}");
            let hex = line.split('#').skip(1).any(|rest| {
                rest.chars().take_while(char::is_ascii_hexdigit).count() >= 3
                    && line.contains(':')
                    && !line.contains('{')
            });
            assert!(!hex, "line {number}: {line}");
        }
    }
}
