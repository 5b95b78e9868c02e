//! The Reddit adapter across a real wire.

#![expect(clippy::unwrap_used, reason = "all of this is test code, also what stands outside of a test function")]
#![allow(clippy::disallowed_methods, reason = "the adapter itself is tested here")]

mod act;
mod inbox;
mod poll;
mod readback;
mod site;
mod things;
mod tokens;
mod write;
