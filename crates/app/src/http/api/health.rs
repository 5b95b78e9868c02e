//! For whoever watches this server: is the process there, and can it work? Open to anybody; tells nothing about the inside.

use crate::app::App;
use crate::database;
use crate::error::{ApiResult, Problem};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, ToSchema)]
pub struct HealthAnswer {
    #[schema(example = "ok")]
    pub status: &'static str,
    #[schema(example = "0.1.0")]
    pub version: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReadyAnswer {
    #[schema(example = "ready")]
    pub status: &'static str,
}

/// Whether the process lives
///
/// Asks nothing else; see `/api/ready`.
#[utoipa::path(get, path = "/api/health", security(()), responses((status = 200, description = "It lives.", body = HealthAnswer)))]
pub async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether requests can be served
///
/// The database answers and has the schema that this version needs; otherwise 503.
#[utoipa::path(get, path = "/api/ready", security(()), responses((status = 200, description = "It can work.", body = ReadyAnswer)))]
pub async fn ready(State(app): State<App>) -> ApiResult<Json<ReadyAnswer>> {
    let looked =
        tokio::time::timeout(PATIENCE, async { database::is_ready(&mut *app.db.acquire().await?).await }).await;
    match looked {
        Ok(Ok(true)) => Ok(Json(ReadyAnswer { status: "ready" })),
        Ok(Ok(false)) => Err(Problem::unavailable("The database does not have the schema of this version yet.")),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "not ready");
            Err(Problem::unavailable("The database does not answer."))
        }
        Err(_) => Err(Problem::unavailable("The database does not answer in time.")),
    }
}
