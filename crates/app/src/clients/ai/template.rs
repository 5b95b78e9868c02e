//! Drafts without a model: the team's own variations, chosen by shared words.
//!
//! Needs no key and no network, so it is also what stands when a model is down. It never invents: a text goes out as the
//! team wrote it, with the author and the community filled in. A text that asks for anything else is not used.

use super::words::{clean, one_line};
use super::{AiError, Draft, DraftRequest, GeneratedBy, IntentSpec, Provider, VariationSpec, render};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

const NAME: &str = "template";
const MOST_VARIATIONS: usize = 5;
/// Endings differ between the forms of a word in most languages, beginnings rarely.
const STEM_CHARS: usize = 5;

#[derive(Debug, Clone, Copy, Default)]
pub struct Template;

#[async_trait]
impl Provider for Template {
    fn name(&self) -> &'static str {
        NAME
    }

    fn model(&self) -> &str {
        NAME
    }

    async fn has_model(&self) -> Result<bool, AiError> {
        Ok(true)
    }

    async fn draft(&self, request: &DraftRequest) -> Result<Draft, AiError> {
        draft(request)
    }
}

fn draft(request: &DraftRequest) -> Result<Draft, AiError> {
    let scores = scores(request);
    let (at, reason) = match request.wanted()? {
        Some(wanted) => (
            request.intents.iter().position(|intent| intent.id == wanted.id).unwrap_or(0),
            "template of the chosen intent",
        ),
        None => best(request, &scores)?,
    };
    let intent = &request.intents[at];
    let variations = texts(intent, request);
    if variations.is_empty() {
        return Err(AiError::Misconfigured { reason: unusable(intent) });
    }
    Ok(Draft {
        intent: Some(intent.id),
        confidence: scores[at] / (scores[at] + 2.0),
        should_reply: true,
        reason: reason.into(),
        sensitive_topic: None,
        language: None,
        variations,
        provider: NAME,
        model: NAME.into(),
        tokens: None,
        generated_by: GeneratedBy::Template,
        prompt_hash: render(request).hash(),
    })
}

/// The first of the intents with the highest score, among those that have a usable text.
fn best(request: &DraftRequest, scores: &[f64]) -> Result<(usize, &'static str), AiError> {
    let mut found: Option<usize> = None;
    for (at, intent) in request.intents.iter().enumerate() {
        if found.is_none_or(|best| scores[at] > scores[best]) && !texts(intent, request).is_empty() {
            found = Some(at);
        }
    }
    match (found, request.intents.first()) {
        (Some(at), _) if scores[at] > 0.0 => {
            Ok((at, "template of the intent that shares the most words with the text"))
        }
        (Some(at), _) => Ok((at, "no intent shares a word with the text; template of the first intent")),
        (None, Some(first)) => Err(AiError::Misconfigured { reason: unusable(first) }),
        (None, None) => Err(AiError::Misconfigured {
            reason: "the team has no intent; add one with a variation, or set up an AI provider".into(),
        }),
    }
}

fn unusable(intent: &IntentSpec) -> String {
    let name = one_line(&intent.name, 60);
    if intent.variations.iter().any(is_on) {
        format!(
            "no variation of the intent \"{name}\" can be used here; use only {{author}} and {{community}} as placeholders \
             and stay within the length that the platform takes"
        )
    } else {
        format!("the intent \"{name}\" has no enabled variation; add one, or set up an AI provider")
    }
}

fn is_on(variation: &VariationSpec) -> bool {
    variation.weight > 0 && !variation.text.trim().is_empty()
}

/// How much each intent has in common with the text, in words; a word that several intents use counts less for each.
fn scores(request: &DraftRequest) -> Vec<f64> {
    let asked = stems(&format!("{} {}", request.target.title.as_deref().unwrap_or_default(), request.target.text));
    let names: Vec<BTreeSet<String>> = request.intents.iter().map(|intent| stems(&intent.name)).collect();
    let used: Vec<BTreeSet<String>> = (request.intents.iter().zip(&names))
        .map(|(intent, name)| {
            let texts = intent.variations.iter().flat_map(|variation| stems(&variation.text));
            texts.chain(stems(&intent.brand_voice)).chain(name.iter().cloned()).collect()
        })
        .collect();
    let mut users: HashMap<&String, f64> = HashMap::new();
    for word in used.iter().flatten() {
        *users.entry(word).or_default() += 1.0;
    }
    let worth = |word: &String, name: &BTreeSet<String>| {
        let share = 1.0 / users.get(word).copied().unwrap_or(1.0);
        if name.contains(word) { 2.0 * share } else { share }
    };
    used.iter()
        .zip(&names)
        .map(|(words, name)| words.intersection(&asked).map(|word| worth(word, name)).sum())
        .collect()
}

/// The beginnings of the words, without case and accents. Short words of alphabets say little and are left out.
fn stems(text: &str) -> BTreeSet<String> {
    let plain: String = text.nfkd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect();
    let plain = plain.to_lowercase();
    let words = plain.unicode_words().filter(|word| !word.is_ascii() || word.len() > 3);
    words.map(|word| word.chars().take(STEM_CHARS).collect()).collect()
}

/// The usable texts of an intent, drawn by weight without putting back: the first is the choice, the rest alternatives.
fn texts(intent: &IntentSpec, request: &DraftRequest) -> Vec<String> {
    let mut left: Vec<(String, u64)> = (intent.variations.iter())
        .filter(|variation| is_on(variation))
        .filter_map(|variation| Some((filled(&variation.text, request)?, u64::from(variation.weight.unsigned_abs()))))
        .filter(|(text, _)| !text.is_empty() && request.length.fits(text))
        .collect();
    let mut drawn = Vec::new();
    let mut state = request.seed;
    while !left.is_empty() && drawn.len() < MOST_VARIATIONS {
        let total: u64 = left.iter().map(|(_, weight)| weight).sum();
        let mut ticket = next(&mut state) % total;
        let at = left.iter().position(|(_, weight)| {
            let hit = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            hit
        });
        let (text, _) = left.swap_remove(at.unwrap_or(0));
        if !drawn.contains(&text) {
            drawn.push(text);
        }
    }
    drawn
}

/// SplitMix64: evenly spread numbers from any seed.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// None: a placeholder is unknown, or nothing is known to put there. What is put in is not looked at again.
fn filled(template: &str, request: &DraftRequest) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        text.push_str(before);
        text.push_str(&match name.trim() {
            "author" => named(request.target.author.as_deref())?,
            "community" => named(request.community.as_deref())?,
            _ => return None,
        });
        rest = after;
    }
    text.push_str(rest);
    Some(clean(&text))
}

fn named(value: Option<&str>) -> Option<String> {
    value.map(|value| one_line(value, 50)).filter(|value| !value.is_empty())
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
