//! The `fields` parameter: names, parameters of edges, and fields inside: `id,from{id,username},replies.limit(50){id}`.

/// One field that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) limit: Option<usize>,
    /// The thing that a field is asked about: `mentioned_comment.comment_id(5)`.
    pub(super) about: Option<String>,
    pub(super) inner: Vec<Field>,
}

/// None: the text is malformed.
pub(super) fn parse(text: &str) -> Option<Vec<Field>> {
    let mut rest = text.trim();
    let fields = list(&mut rest, 0)?;
    rest.is_empty().then_some(fields)
}

fn list(rest: &mut &str, depth: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    if depth > 4 {
        return None;
    }
    loop {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ' ')).unwrap_or(rest.len());
        let name = rest[..end].trim().to_owned();
        *rest = &rest[end..];
        let mut field = Field { name, limit: None, about: None, inner: Vec::new() };
        while let Some(after) = rest.strip_prefix('.') {
            let close = after.find(')')?;
            let (word, value) = after[..close].split_once('(')?;
            if word == "limit" {
                field.limit = Some(value.parse().ok()?);
            } else {
                field.about = Some(value.to_owned());
            }
            *rest = &after[close + 1..];
        }
        if let Some(after) = rest.strip_prefix('{') {
            *rest = after;
            field.inner = list(rest, depth + 1)?;
            *rest = rest.strip_prefix('}')?;
        }
        if !field.name.is_empty() {
            fields.push(field);
        }
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Some(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn fields_inside_fields_are_read() {
        let fields = parse("id,from{id,username},replies.limit(50){id,text}").unwrap();
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["id", "from", "replies"]);
        assert_eq!((fields[1].inner.len(), fields[2].limit, fields[2].inner[1].name.as_str()), (2, Some(50), "text"));
    }

    #[test]
    fn malformed_fields_are_none() {
        for text in ["id{", "id}", "replies.limit(x)", "a{b{c{d{e{f}}}}}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
