//! Facebook Pages, and what a person shared of them.

use serde::{Deserialize, Serialize};

/// What a person shared by Facebook Login. `Token::account` is empty where the token is the person's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SharedPages {
    pub(crate) client_id: String,
    /// The person's token: the Pages that they ticked. A Page's: itself.
    pub(crate) pages: Vec<String>,
}

/// A Facebook Page, and the professional account that is linked to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) account: Option<String>,
}
