//! The Reddit adapter across a real wire.

#![expect(clippy::unwrap_used, reason = "all of this is test code, also what stands outside of a test function")]

mod poll;
mod readback;
mod site;
mod tokens;
mod write;
