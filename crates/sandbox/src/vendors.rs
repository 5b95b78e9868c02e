//! The vendors' sides of the wire. Each file knows one protocol and shows the world through it.

pub(crate) mod clerk;
pub(crate) mod gemini;
pub(crate) mod instagram;
pub(crate) mod reddit;
pub(crate) mod x;

/// The app that exists from the start; its secret is `sandbox-secret`.
pub(crate) const DEFAULT_CLIENT: &str = "sandbox-client";
