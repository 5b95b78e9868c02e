//! How long a platform counts a text to be, for the counter that stands under the editor. Asked while a person types, and only where
//! the count is something else than the number of characters; approving judges by the same rule again.

use super::person::Person;
use crate::app::App;
use crate::error::Problem;
use crate::flow::ingest::normalise;
use crate::http::auth::{PageMember, Viewer};
use crate::http::csrf::CsrfForm;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

/// Of the editor's form.
#[derive(Debug, Deserialize)]
pub struct Typed {
    text: String,
}

#[derive(Debug, Serialize)]
pub struct Counted {
    length: usize,
}

/// Of the text as it would be stored.
pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Path(platform): Path<String>,
    CsrfForm(typed): CsrfForm<Typed>,
) -> Result<Json<Counted>, Problem> {
    let rule = Person::of(&app, member).length(&platform);
    Ok(Json(Counted { length: rule.of(normalise::text(&typed.text).trim()) }))
}
