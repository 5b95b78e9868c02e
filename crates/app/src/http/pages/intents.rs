//! The intents page: what people want when they write, and how we answer each. Intents and their variations are
//! made, changed and deleted here with plain forms.

use super::frame::{Frame, Section};
use super::samples;
use askama::Template;
use uuid::Uuid;

mod forms;

pub use crate::flow::intents::VARIATION_CHARS;
pub use forms::{add_variation, create, delete, delete_variation, show, update, update_variation};

#[derive(Debug, Clone, Template)]
#[template(path = "intents.html")]
pub struct IntentsPage {
    pub frame: Frame,
    pub intents: Vec<IntentCard>,
    /// The intent that stands open (`?intent={id}`).
    pub open: Option<Uuid>,
    /// What the person typed into "New intent" before it was refused, or an empty form.
    pub new: IntentForm,
    /// Opens "New intent".
    pub new_open: bool,
    pub may_change: bool,
}

#[derive(Debug, Clone)]
pub struct IntentCard {
    pub id: Uuid,
    pub form: IntentForm,
    pub variations: Vec<Variation>,
    /// What the person typed into "Add a variation" before it was refused.
    pub new_variation: VariationForm,
}

/// The fields of an intent as they stand in a form.
#[derive(Debug, Clone)]
pub struct IntentForm {
    pub name: String,
    pub tone: String,
    /// 0 to 1, two places: "0.80".
    pub confidence_threshold: String,
    pub brand_voice: String,
    pub error: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Variation {
    pub id: Uuid,
    pub form: VariationForm,
    /// Share of the draws that it wins, in percent, from the weights of the enabled ones.
    pub share: u64,
}

#[derive(Debug, Clone)]
pub struct VariationForm {
    pub text: String,
    pub weight: String,
    pub enabled: bool,
    pub error: Option<String>,
}

impl Default for IntentForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            tone: "friendly".to_owned(),
            confidence_threshold: "0.80".to_owned(),
            brand_voice: String::new(),
            error: None,
        }
    }
}

impl Default for VariationForm {
    fn default() -> Self {
        Self { text: String::new(), weight: "10".to_owned(), enabled: true, error: None }
    }
}

impl IntentForm {
    /// The tones of the data model with the words of the screen, the chosen one marked.
    pub fn tones(&self) -> [(&'static str, &'static str, bool); 4] {
        [("friendly", "Friendly"), ("formal", "Formal"), ("witty", "Witty"), ("neutral", "Neutral")]
            .map(|(value, name)| (value, name, value == self.tone))
    }
}

impl IntentsPage {
    pub fn is_open(&self, card: &IntentCard) -> bool {
        let refused = card.form.error.is_some() || card.new_variation.error.is_some();
        self.open == Some(card.id) || refused || card.variations.iter().any(|variation| variation.form.error.is_some())
    }

    pub fn section(&self) -> Section {
        Section::Intents
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::intents::pages()
    }
}
