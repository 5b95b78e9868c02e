//! The small signs beside words: icons of the sprite, a platform's mark, the tone of a state. A sign never stands
//! alone; the word beside it says the same.

use askama::FastWritable;
use askama::filters::HtmlSafe;
use std::fmt;

/// One drawing of the sprite in `templates/sprite.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icon(&'static str);

/// `name` is the id of a symbol in the sprite without its `i-`.
pub const fn icon(name: &'static str) -> Icon {
    Icon(name)
}

impl HtmlSafe for Icon {}

impl FastWritable for Icon {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        write!(dest, "{self}").map_err(Into::into)
    }
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        write!(f, r##"<svg class="icon" aria-hidden="true" focusable="false"><use href="#i-{name}"/></svg>"##)
    }
}

/// A platform as a page names it. The slug and the name come from the list of platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub slug: String,
    pub name: String,
}

impl Mark {
    pub fn new(slug: &str, name: &str) -> Self {
        Self { slug: slug.to_owned(), name: name.to_owned() }
    }

    /// The drawing of a platform that we have one for; any other gets a plain globe.
    pub fn icon(&self) -> Icon {
        match self.slug.as_str() {
            "reddit" => icon("p-reddit"),
            "instagram" => icon("p-instagram"),
            "x" => icon("p-x"),
            _ => icon("p-other"),
        }
    }
}

/// What a state means for the person, told by colour and shape together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to say.
    Plain,
    /// Waits for the person.
    Ask,
    /// We are at work.
    Busy,
    /// Seen on the platform; the only green.
    Good,
    /// Held or stale.
    Held,
    /// Failed or stopped.
    Bad,
}

impl Tone {
    pub fn class(&self) -> &'static str {
        match self {
            Self::Plain => "tone-plain",
            Self::Ask => "tone-ask",
            Self::Busy => "tone-busy",
            Self::Good => "tone-good",
            Self::Held => "tone-held",
            Self::Bad => "tone-bad",
        }
    }

    pub fn icon(&self) -> Icon {
        match self {
            Self::Plain => icon("dot"),
            Self::Ask => icon("pencil"),
            Self::Busy => icon("clock"),
            Self::Good => icon("check"),
            Self::Held => icon("hold"),
            Self::Bad => icon("stop"),
        }
    }
}
