//! The search language, as far as apps use it: `conversation_id:`, `in_reply_to_tweet_id:`, `from:`, `to:`, `is:`, phrases and words, `-`, `OR` and
//! parentheses. Beside each other means both.

use super::things::{Tweet, XWorld};

#[derive(Debug)]
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    Is(String, String),
    Words(String),
}

/// None: it cannot be understood.
pub(super) fn parse(text: &str) -> Option<Query> {
    let mut tokens = tokens(text)?;
    tokens.reverse();
    let query = any(&mut tokens)?;
    tokens.is_empty().then_some(query)
}

fn tokens(text: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '(' | ')' | '-' => tokens.push(letter.to_string()),
            '"' => {
                let phrase: String = letters.by_ref().take_while(|letter| *letter != '"').collect();
                tokens.push(format!("\"{phrase}"));
            }
            first => {
                let mut word = first.to_string();
                while let Some(next) = letters.next_if(|next| !matches!(next, ' ' | ')')) {
                    word.push(next);
                }
                tokens.push(word);
            }
        }
    }
    (!tokens.is_empty()).then_some(tokens)
}

fn any(tokens: &mut Vec<String>) -> Option<Query> {
    let mut choices = vec![all(tokens)?];
    while tokens.last().is_some_and(|token| token == "OR") {
        tokens.pop();
        choices.push(all(tokens)?);
    }
    Some(Query::Any(choices))
}

fn all(tokens: &mut Vec<String>) -> Option<Query> {
    let mut terms = Vec::new();
    while tokens.last().is_some_and(|token| token != "OR" && token != ")") {
        terms.push(term(tokens)?);
    }
    (!terms.is_empty()).then_some(Query::All(terms))
}

fn term(tokens: &mut Vec<String>) -> Option<Query> {
    let token = tokens.pop()?;
    match token.as_str() {
        "-" => Some(Query::Not(Box::new(term(tokens)?))),
        "(" => {
            let inner = any(tokens)?;
            (tokens.pop()? == ")").then_some(inner)
        }
        _ => Some(match (token.strip_prefix('"'), token.split_once(':')) {
            (Some(phrase), _) => Query::Words(phrase.to_lowercase()),
            (None, Some((name, value))) if !value.is_empty() => Query::Is(name.to_owned(), value.to_owned()),
            _ => Query::Words(token.to_lowercase()),
        }),
    }
}

impl Query {
    pub(super) fn finds(&self, tweet: &Tweet, world: &XWorld) -> bool {
        let by = |id: u64, name: &str| world.user(id).is_some_and(|user| user.name.eq_ignore_ascii_case(name));
        match self {
            Self::All(terms) => terms.iter().all(|term| term.finds(tweet, world)),
            Self::Any(choices) => choices.iter().any(|choice| choice.finds(tweet, world)),
            Self::Not(term) => !term.finds(tweet, world),
            Self::Words(words) => tweet.text.to_lowercase().contains(words),
            Self::Is(name, value) => match name.as_str() {
                "conversation_id" => tweet.conversation.to_string() == *value,
                "in_reply_to_tweet_id" => tweet.replied_to.is_some_and(|parent| parent.to_string() == *value),
                "from" => by(tweet.author, value),
                "to" => {
                    tweet.replied_to.and_then(|id| world.tweets.get(&id)).is_some_and(|parent| by(parent.author, value))
                }
                "is" => match value.as_str() {
                    "reply" => tweet.replied_to.is_some(),
                    "quote" => tweet.quoted.is_some(),
                    _ => false,
                },
                _ => false,
            },
        }
    }
}
