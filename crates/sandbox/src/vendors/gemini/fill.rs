//! Fills any response schema (the OpenAPI subset in upper case, or JSON Schema) with values that fit the prompt.
//!
//! The names of properties steer: `reply`, `text`, `variations` get an answer to the comment, `language` its language,
//! `confidence` a stable number, booleans and enums what the words suggest. An array of objects that have a `ref` (or
//! `id`) gets one element for each value of its enum, or else for each value that the prompt gives that name.

use serde_json::{Map, Value, json};

use super::words::{Mood, Words, hash, sensitive, split};

const MAX_DEPTH: usize = 12;
const MAX_CONTEXT: usize = 1500;

pub(super) struct Prompt<'a> {
    words: Words,
    system: &'a str,
    user: &'a str,
    /// The comment that the current part of the answer is about.
    focus: String,
    reference: Option<String>,
}

impl<'a> Prompt<'a> {
    pub(super) fn new(system: &'a str, user: &'a str) -> Self {
        let focus = quoted_text(user).unwrap_or_else(|| plain_tail(user));
        Self { words: Words::load(), system, user, focus, reference: None }
    }

    pub(super) fn reply(&self, number: usize) -> String {
        self.words.reply(&self.focus, number)
    }

    fn about(&self, reference: &str) -> Self {
        let focus = context_of(self.user, reference);
        let focus = quoted_text(&focus).unwrap_or(focus);
        let reference = Some(reference.to_owned());
        Self { words: Words::load(), system: self.system, user: self.user, focus, reference }
    }
}

/// What stands after the last place where the prompt names this reference, up to the next such name.
fn context_of(user: &str, reference: &str) -> String {
    let quoted = format!("\"{reference}\"");
    let Some(start) = user
        .rfind(&quoted)
        .map(|at| at + quoted.len())
        .or_else(|| user.rfind(reference).map(|at| at + reference.len()))
    else {
        return user.to_owned();
    };
    let rest = &user[start..];
    let ends = ["\"ref\"", "ref=", "ref:", "\"id\"", "\n---", "</"].iter().filter_map(|mark| rest.find(mark));
    let end = ends.filter(|&at| at > 0).min().unwrap_or(rest.len());
    super::words::head(&rest[..end], MAX_CONTEXT)
        .trim_matches([' ', ',', ':', '>', ']', '}', '{', '\n', '"'])
        .to_owned()
}

/// The value of the last `"text"` (or the like) in a piece of JSON.
fn quoted_text(piece: &str) -> Option<String> {
    let names = ["\"text\":", "\"comment\":", "\"body\":"];
    let start = names.iter().filter_map(|name| piece.rfind(name).map(|at| at + name.len())).max()?;
    let mut values = serde_json::Deserializer::from_str(&piece[start..]).into_iter::<Value>();
    values.next()?.ok()?.as_str().map(str::to_owned)
}

fn plain_tail(user: &str) -> String {
    let paragraph = user.trim().rsplit("\n\n").next().unwrap_or(user);
    super::words::head(paragraph, MAX_CONTEXT).to_owned()
}

/// The value that the schema asks for.
pub(super) fn fill(schema: &Value, prompt: &Prompt<'_>) -> Value {
    Filler { root: schema }.value(schema, "", prompt, 0)
}

struct Filler<'s> {
    root: &'s Value,
}

impl Filler<'_> {
    fn resolve<'v>(&'v self, schema: &'v Value) -> (&'v Value, bool) {
        if let Some(target) = schema["$ref"].as_str().and_then(|link| link.strip_prefix('#')) {
            return self.root.pointer(target).map_or((schema, false), |found| self.resolve_choice(found));
        }
        self.resolve_choice(schema)
    }

    /// Of several alternatives the first that is not null; and whether null is allowed.
    fn resolve_choice<'v>(&'v self, schema: &'v Value) -> (&'v Value, bool) {
        let alternatives = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].as_array());
        let Some(alternatives) = alternatives else {
            return (schema, false);
        };
        let is_null = |one: &&Value| one["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("null"));
        let nullable = alternatives.iter().any(|one| is_null(&one));
        let chosen = alternatives.iter().find(|one| !is_null(one)).unwrap_or(schema);
        let chosen =
            chosen["$ref"].as_str().and_then(|link| self.root.pointer(link.strip_prefix('#')?)).unwrap_or(chosen);
        (chosen, nullable)
    }

    fn value(&self, schema: &Value, name: &str, prompt: &Prompt<'_>, depth: usize) -> Value {
        let (schema, mut nullable) = self.resolve(schema);
        nullable |= schema["nullable"] == true;
        let kinds: Vec<String> = match &schema["type"] {
            Value::String(kind) => vec![kind.to_lowercase()],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(str::to_lowercase).collect(),
            _ => Vec::new(),
        };
        nullable |= kinds.iter().any(|kind| kind == "null");
        if !schema["const"].is_null() {
            return schema["const"].clone();
        }
        let kind = kinds.iter().map(String::as_str).find(|kind| *kind != "null");
        let guessed = if schema["properties"].is_object() { "object" } else { "string" };
        match kind.unwrap_or(guessed) {
            _ if depth > MAX_DEPTH => Value::Null,
            "object" => self.object(schema, prompt, depth),
            "array" => self.array(schema, name, prompt, depth),
            "boolean" => json!(boolean(name, prompt)),
            "number" => json!(number(schema, name, prompt)),
            "integer" => json!(number(schema, name, prompt).round() as i64),
            _ => string(schema, name, prompt, nullable, 0),
        }
    }

    fn object(&self, schema: &Value, prompt: &Prompt<'_>, depth: usize) -> Value {
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            object.insert(name.clone(), self.value(property, name, prompt, depth + 1));
        }
        Value::Object(object)
    }

    fn array(&self, schema: &Value, name: &str, prompt: &Prompt<'_>, depth: usize) -> Value {
        let (items, _) = self.resolve(&schema["items"]);
        let bound = |key: &str| {
            let value = &schema[key];
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(|count| count as usize)
        };
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(usize::MAX));
        let references = references(items, prompt);
        if !references.is_empty() && prompt.reference.is_none() {
            let each = references.iter().take(most.min(100));
            return each.map(|reference| self.value(items, name, &prompt.about(reference), depth + 1)).collect();
        }
        if items["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("string")) {
            let count = if items["enum"].is_array() { 1 } else { 3 };
            let count = count.max(least).min(most);
            return (0..count).map(|number| string(items, name, prompt, false, number)).collect();
        }
        let count = 1.max(least).min(most).min(100);
        (0..count).map(|_| self.value(items, name, prompt, depth + 1)).collect()
    }
}

fn is_reference(name: &str) -> bool {
    matches!(name, "ref" | "id" | "key") || name.ends_with("_ref") || name.ends_with("_id") || name.ends_with("Id")
}

/// The references that the elements of an array must carry: from the enum of the property, else from the prompt.
fn references(items: &Value, prompt: &Prompt<'_>) -> Vec<String> {
    let properties = items["properties"].as_object();
    let Some((name, property)) = properties.and_then(|all| all.iter().find(|(name, _)| is_reference(name))) else {
        return Vec::new();
    };
    if let Some(values) = property["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let mut found: Vec<String> = Vec::new();
    for (at, _) in prompt.user.match_indices(name.as_str()) {
        let rest = prompt.user[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        let Some(rest) = rest.strip_prefix([':', '=']) else {
            continue;
        };
        let rest = rest.trim_start().trim_start_matches(['"', '\'']);
        let end =
            rest.find(|letter: char| !(letter.is_alphanumeric() || "-_:.".contains(letter))).unwrap_or(rest.len());
        let value = rest[..end].to_owned();
        if !value.is_empty() && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn boolean(name: &str, prompt: &Prompt<'_>) -> bool {
    let name = name.to_lowercase();
    let hostile = prompt.words.mood(&prompt.focus) == Mood::Hostile;
    if ["toxic", "spam", "unsafe", "injection", "hostile", "abus"].iter().any(|sign| name.contains(sign)) {
        return hostile;
    }
    if name.contains("sensitive") || name.contains("escalate") {
        return sensitive(&prompt.focus).is_some();
    }
    !hostile
}

fn number(schema: &Value, name: &str, prompt: &Prompt<'_>) -> f64 {
    let mixed = hash(&format!("{name}|{}|{}", prompt.focus, prompt.reference.as_deref().unwrap_or_default()));
    let share = (mixed % 1000) as f64 / 1000.0;
    let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let value = match (low, high) {
        (low, high) if name.contains("confidence") || name.contains("score") => {
            let value = ((0.55 + share * 0.42) * 100.0).round() / 100.0;
            let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
            if high > 1.0 { low + value * (high - low) } else { value.clamp(low, high.max(low)) }
        }
        (Some(low), Some(high)) => low + share * (high - low),
        (Some(low), None) => low,
        (None, Some(high)) => high.min(1.0),
        (None, None) => 1.0,
    };
    (value * 100.0).round() / 100.0
}

fn string(schema: &Value, name: &str, prompt: &Prompt<'_>, nullable: bool, number: usize) -> Value {
    let low = name.to_lowercase();
    let topic_of_trouble = sensitive(&prompt.focus);
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        if let Some(reference) = prompt.reference.as_deref().filter(|_| is_reference(name)) {
            return json!(reference);
        }
        if low.contains("sensitive") && nullable && topic_of_trouble.is_none() {
            return Value::Null;
        }
        return choose(&values, &low, prompt, nullable);
    }
    let text = match low.as_str() {
        _ if is_reference(name) => prompt.reference.clone().unwrap_or_default(),
        "language" | "lang" | "locale" => prompt.words.language_of(&prompt.focus).to_owned(),
        _ if low.contains("sensitive") => match (topic_of_trouble, nullable) {
            (Some(topic), _) => topic.to_owned(),
            (None, true) => return Value::Null,
            (None, false) => String::new(),
        },
        "reason" | "explanation" | "rationale" => reason(prompt),
        "intent" | "category" | "label" if nullable => return Value::Null,
        "intent" | "category" | "label" => kind_word(prompt).to_owned(),
        _ => prompt.reply(number),
    };
    let limit = schema["maxLength"].as_u64().or_else(|| schema["maxLength"].as_str()?.parse().ok());
    let most = limit.map_or(usize::MAX, |most| most as usize);
    json!(text.chars().take(most).collect::<String>())
}

fn kind_word(prompt: &Prompt<'_>) -> &'static str {
    match prompt.words.mood(&prompt.focus) {
        Mood::Question => "question",
        Mood::Complaint => "complaint",
        Mood::Praise => "praise",
        Mood::Other => "other",
        Mood::Hostile => "hostile",
    }
}

fn reason(prompt: &Prompt<'_>) -> String {
    let topic = prompt.words.topic(&prompt.focus);
    match prompt.words.mood(&prompt.focus) {
        Mood::Question => {
            format!("The comment asks something about {topic}; a short answer helps.")
        }
        Mood::Complaint => {
            format!("The comment reports a problem with {topic}; an answer with a next step helps.")
        }
        Mood::Praise => {
            format!("The comment says something kind about {topic}; a short thank-you fits.")
        }
        Mood::Other => "The comment adds to the thread; a short friendly answer fits.".to_owned(),
        Mood::Hostile => "The comment attacks or tries to steer the answer; better left alone.".to_owned(),
    }
}

/// The value with the most words in common with the comment: by its own words, by its kind, and by the line of the
/// prompt that explains it.
fn choose(values: &[&str], name: &str, prompt: &Prompt<'_>, nullable: bool) -> Value {
    if name.starts_with("lang") {
        let code = prompt.words.language_of(&prompt.focus);
        if values.contains(&code) {
            return json!(code);
        }
    }
    let mut wanted = split(&prompt.focus);
    wanted.push(kind_word(prompt).to_owned());
    wanted.extend(sensitive(&prompt.focus).map(str::to_owned));
    wanted.retain(|word| word.chars().count() > 3);
    let score = |value: &str| {
        let own = split(value);
        let explained = prompt.system.lines().chain(prompt.user.lines());
        let lines =
            explained.filter(|line| line.contains(value) && !line.contains(prompt.focus.as_str()) && line.len() < 600);
        let line_words: Vec<String> = lines.flat_map(split).collect();
        let common = |words: &[String]| wanted.iter().filter(|word| words.iter().any(|one| akin(one, word))).count();
        common(&own) * 3 + common(&line_words)
    };
    let best = values.iter().map(|value| (score(value), *value)).rev().max_by_key(|(score, _)| *score);
    match best {
        Some((score, value)) if score > 0 => json!(value),
        _ if nullable => Value::Null,
        _ => {
            let neutral = values.iter().find(|value| matches!(**value, "none" | "other" | "unknown" | "general"));
            json!(neutral.or(values.first()))
        }
    }
}

/// The same word, or two long words with the same beginning ("clean" and "cleaning").
fn akin(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    one == other || (short.chars().count() >= 5 && long.starts_with(short))
}
