//! What jobs run with.

use crate::accounts::integrations;
use crate::app::App;
use crate::clients::ai::Template;
use crate::flow::send::Sender;
use crate::flow::suggestion::Suggestion;
use crate::queue::JobError;
use rejoinder_platforms::Capabilities;
use sqlx::PgConnection;

/// The shared parts, and the sender where this process has the worker role.
pub struct Engine {
    pub app: App,
    pub sender: Option<Sender>,
    pub template: Template,
}

impl Engine {
    pub async fn capabilities(
        &self,
        conn: &mut PgConnection,
        suggestion: &Suggestion,
    ) -> Result<Capabilities, JobError> {
        let integration = integrations::load(conn, suggestion.team_id, suggestion.integration_id)
            .await?
            .ok_or_else(|| JobError::Permanent("the account is gone".to_owned()))?;
        let reader =
            self.app.readers.get(&integration.platform).map_err(|error| JobError::Permanent(error.to_string()))?;
        Ok(reader.capabilities())
    }
}
