//! Words of the field that more than one part uses, with the text that stands in the database and in JSON.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An enum that is text in the database and in JSON. `parse` of a database value cannot fail unless the schema and the code
/// disagree, which the check constraints prevent.
macro_rules! text_enum {
    ($(#[doc = $doc:literal])* $name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $text)] $variant),+ }

        // The derive does not see a name that comes through a macro, and would describe the variants of the code.
        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let about = concat!($($doc),*).trim();
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description((!about.is_empty()).then_some(about))
                    .enum_values(Some([$($text),+]))
                    .build()
                    .into()
            }
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok($name::$variant),)+
                    other => Err(format!("`{other}` is none of {}", [$($text),+].join(", "))),
                }
            }
        }

        /// From a database column.
        impl From<String> for $name {
            fn from(text: String) -> Self {
                text.parse().expect("a check constraint keeps other values out")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_enum! {
    /// What a member may do: viewers read, editors draft and approve, admins connect and set. Ordered.
    Role { Viewer => "viewer", Editor => "editor", Admin => "admin" }
}

text_enum! {
    /// Where a suggestion stands, as others see it.
    Status { Pending => "pending", Approved => "approved", Rejected => "rejected", Posted => "posted", Failed => "failed" }
}

text_enum! {
    /// Where a suggestion stands on its way, in detail.
    Stage {
        Drafting => "drafting", Ready => "ready", Parked => "parked", Queued => "queued",
        Sending => "sending", Uncertain => "uncertain", Done => "done",
    }
}

impl Stage {
    /// The status that goes with it, where there is only one.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Drafting => Some(Status::Pending),
            Self::Parked | Self::Queued | Self::Sending | Self::Uncertain => Some(Status::Approved),
            Self::Ready | Self::Done => None,
        }
    }
}

text_enum! {
    /// What a parked reply waits for until somebody turns it: sending as a whole, of its team, or of its account.
    Switch { Instance => "instance", Team => "team", Integration => "integration" }
}

text_enum! {
    /// How far a failure reaches: this reply, the account, or every account of the app.
    Reach { Item => "item", Account => "account", App => "app" }
}

text_enum! {
    /// What a reply answers.
    TargetKind { Post => "post", Comment => "comment" }
}

text_enum! {
    /// How much care a draft gets: `fast` is a template or the small model, `draft` the full prompt.
    Mode { Fast => "fast", Draft => "draft" }
}

text_enum! {
    GeneratedBy { Ai => "ai", Template => "template", Person => "person" }
}

text_enum! {
    ItemState {
        Open => "open", Snoozed => "snoozed", Done => "done", Ignored => "ignored",
        AnsweredElsewhere => "answered_elsewhere",
    }
}

text_enum! {
    IntegrationState {
        Connected => "connected", Paused => "paused", NeedsReconnect => "needs_reconnect", Disconnected => "disconnected",
    }
}

text_enum! {
    /// Why an account is paused: a person stopped it, its own failures did, or trouble of the whole app.
    PauseCause { Person => "person", Failures => "failures", App => "app" }
}

text_enum! {
    /// What a team is told without having asked.
    NoticeKind {
        IntegrationPaused => "integration_paused", ReconnectNeeded => "reconnect_needed", SendUnknown => "send_unknown",
        TeamPaused => "team_paused", InstancePaused => "instance_paused", WebhookDisabled => "webhook_disabled",
        AccessEnding => "access_ending", RulesPaused => "rules_paused", PlatformBudgetSpent => "platform_budget_spent",
    }
}

text_enum! {
    /// What became of one attempt to post.
    Outcome { Uncertain => "uncertain", Posted => "posted", Refused => "refused", NotSent => "not_sent" }
}

text_enum! {
    /// What a watch follows: new posts of a community, or posts with certain words.
    WatchKind { Community => "community", Keyword => "keyword" }
}

text_enum! {
    /// What a team can have told to its own systems. The names are a contract with receivers.
    WebhookEvent {
        ItemCreated => "item.created", ItemChanged => "item.changed",
        SuggestionCreated => "suggestion.created", SuggestionDrafted => "suggestion.drafted",
        SuggestionApproved => "suggestion.approved", SuggestionRejected => "suggestion.rejected",
        SuggestionReturned => "suggestion.returned", SuggestionPosted => "suggestion.posted",
        SuggestionFailed => "suggestion.failed", SuggestionUncertain => "suggestion.uncertain",
        IntegrationConnected => "integration.connected", IntegrationPaused => "integration.paused",
        IntegrationResumed => "integration.resumed", IntegrationNeedsReconnect => "integration.needs_reconnect",
        IntegrationDisconnected => "integration.disconnected",
        TeamPaused => "team.paused", TeamResumed => "team.resumed",
    }
}

text_enum! {
    EndpointState { Enabled => "enabled", Disabled => "disabled" }
}

text_enum! {
    /// Where one event for one endpoint stands: `failed` is tried no more.
    DeliveryState { Pending => "pending", Delivered => "delivered", Failed => "failed" }
}

text_enum! {
    /// How a posted reply stands on the platform, as far as it was looked at.
    ReplyStanding { Here => "here", Removed => "removed", Deleted => "deleted", Unpublished => "unpublished" }
}

text_enum! {
    /// What a person wants done to a reply that stands on the platform.
    ActionKind { Edit => "edit", Delete => "delete" }
}

text_enum! {
    /// What became of it; `uncertain` is read back, never repeated blindly.
    ActionState { Waiting => "waiting", Uncertain => "uncertain", Done => "done", NotDone => "not_done" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_the_values_that_go_over_the_wire() {
        let described = serde_json::to_value(Status::schema()).unwrap();
        let sent: Vec<_> = Status::ALL.iter().map(|status| serde_json::to_value(status).unwrap()).collect();
        assert_eq!(described["enum"], serde_json::Value::Array(sent));
        assert_eq!(described["description"], "Where a suggestion stands, as others see it.");
    }
}
