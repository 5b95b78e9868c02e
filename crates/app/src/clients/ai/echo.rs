//! A server may repeat a part of the prompt in its complaint. Our error texts end in logs and in the activity log, so a stranger's
//! words must not come along. Pure.

use super::{AiError, DraftRequest};

/// So many words in a row are a quotation; fewer are anybody's.
const RUN: usize = 4;
/// Shorter texts and names are words like any other.
const SHORTEST: usize = 6;

impl AiError {
    /// The same error; where the server repeated the thread, without what it said.
    pub(super) fn without_echo(mut self, request: &DraftRequest) -> Self {
        let (Self::RetryAfter { reason, .. }
        | Self::Refused { reason }
        | Self::BadAnswer { reason }
        | Self::Misconfigured { reason }) = &mut self;
        if repeats(reason, request) {
            // Our own words stand before the colon.
            let ours = reason.split_once(": ").map(|(ours, _)| ours).filter(|ours| !repeats(ours, request));
            *reason = format!("{}: it repeated the text of the thread", ours.unwrap_or("the AI server refused"));
        }
        self
    }
}

fn repeats(said: &str, request: &DraftRequest) -> bool {
    // Line ends come back as JSON writes them.
    let said = words(&said.replace("\\n", " ").replace("\\t", " "));
    let thread = request.parents.iter().chain([&request.post, &request.target]);
    let mut texts = thread.flat_map(|one| [one.author.as_deref(), one.title.as_deref(), Some(one.text.as_str())]);
    texts.any(|text| text.is_some_and(|text| quotes(&said, &words(text))))
}

fn quotes(said: &[String], text: &[String]) -> bool {
    let run = text.len().min(RUN);
    if run == 0 || (run < RUN && text.concat().chars().count() < SHORTEST) {
        return false;
    }
    text.windows(run).any(|quoted| said.windows(run).any(|heard| heard == quoted))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::request;
    use super::*;

    fn told(reason: &str) -> String {
        let mut request = request();
        request.target.text = "My grinder broke on the very first day".to_owned();
        request.target.author = Some("sad_barista_7".to_owned());
        AiError::Misconfigured { reason: reason.to_owned() }.without_echo(&request).to_string()
    }

    #[test]
    fn a_complaint_that_quotes_the_thread_is_told_without_the_quotation() {
        for quoted in ["input 'my grinder\\nbroke on the…' is too long", "message of sad_barista_7 is not allowed"] {
            let text = told(&format!("the AI server refused the request (400): {quoted}"));
            assert!(text.contains("refused the request (400): it repeated"), "{text}");
            assert!(!text.contains("grinder") && !text.contains("barista"), "{text}");
        }
        assert!(!told("My grinder broke on it").contains("grinder"));
    }

    #[test]
    fn any_other_complaint_stays_as_it_is() {
        let reason = "the AI server refused the request (400): the very model is unknown";
        assert!(told(reason).ends_with(reason));
    }
}
