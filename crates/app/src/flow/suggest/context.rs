//! What a model is told: the thread around the target and the team's intents, read in one go. Rendered on demand and never
//! stored, so a deletion on the platform reaches it too.

use crate::accounts::integrations;
use crate::clients::ai::{self, DraftRequest, IntentSpec, ThreadText, Tone, VariationSpec};
use crate::flow::ingest::thread::{self, CommentRow};
use crate::flow::suggestion::Suggestion;
use crate::flow::{intents, places};
use crate::model::Mode;
use rejoinder_platforms::Capabilities;
use sqlx::PgConnection;

/// None when the post, the comment or the account is gone: there is nothing to draft for.
pub async fn load(
    conn: &mut PgConnection,
    suggestion: &Suggestion,
    capabilities: Capabilities,
) -> Result<Option<DraftRequest>, sqlx::Error> {
    let team_id = suggestion.team_id;
    let Some(integration) = integrations::load(conn, team_id, suggestion.integration_id).await? else {
        return Ok(None);
    };
    let Some(post) = thread::post(conn, team_id, suggestion.post_id).await? else { return Ok(None) };
    let post_text =
        ThreadText { author: post.author_handle.clone(), title: post.title.clone(), text: post.body.clone() };
    let (target, parents) = match suggestion.comment_id {
        None if post.deleted_at.is_some() => return Ok(None),
        None => (post_text.clone(), Vec::new()),
        Some(id) => {
            let Some(comment) = thread::comment(conn, team_id, id).await? else { return Ok(None) };
            if comment.deleted_at.is_some() {
                return Ok(None);
            }
            let parents = thread::parents(conn, team_id, id).await?;
            (text_of(&comment), parents.iter().map(text_of).collect())
        }
    };
    let place = match &post.community {
        Some(community) => places::known(conn, team_id, suggestion.integration_id, community).await?,
        None => None,
    };
    let rules = place.into_iter().flat_map(|place| place.rules).map(|rule| (rule.title, rule.description)).collect();
    let intents = intents_of(conn, suggestion).await?;
    let first = intents.first();
    Ok(Some(DraftRequest {
        brand_voice: first.map(|intent| intent.brand_voice.clone()).unwrap_or_default(),
        tone: first.map_or(Tone::Friendly, |intent| intent.tone),
        intents,
        wanted_intent: suggestion.wanted_intent_id,
        community: post.community,
        community_rules: rules,
        platform: integration.platform,
        length: capabilities.length,
        mode: match suggestion.mode {
            Mode::Fast => ai::Mode::Fast,
            Mode::Draft => ai::Mode::Draft,
        },
        post: post_text,
        parents,
        target,
        our_name: integration.display_name,
        seed: seed(suggestion.state.generation_id),
    }))
}

/// The same generation draws the same variation, another one may draw another.
fn seed(generation_id: uuid::Uuid) -> u64 {
    let (high, low) = generation_id.as_u64_pair();
    high ^ low
}

fn text_of(comment: &CommentRow) -> ThreadText {
    ThreadText { author: comment.author_handle.clone(), title: None, text: comment.text.clone() }
}

/// The wanted intent first, then by name.
async fn intents_of(conn: &mut PgConnection, suggestion: &Suggestion) -> Result<Vec<IntentSpec>, sqlx::Error> {
    let variations = intents::variations(conn, suggestion.team_id).await?;
    let mut specs: Vec<IntentSpec> = intents::list(conn, suggestion.team_id)
        .await?
        .into_iter()
        .map(|intent| IntentSpec {
            id: intent.id,
            name: intent.name,
            tone: intent.tone.parse().unwrap_or(Tone::Friendly),
            brand_voice: intent.brand_voice,
            confidence_threshold: intent.confidence_threshold,
            variations: variations
                .iter()
                .filter(|variation| variation.intent_id == intent.id && variation.enabled)
                .map(|variation| VariationSpec { text: variation.text.clone(), weight: variation.weight })
                .collect(),
        })
        .collect();
    specs.sort_by_key(|spec| Some(spec.id) != suggestion.wanted_intent_id);
    Ok(specs)
}
