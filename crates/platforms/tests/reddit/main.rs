//! The Reddit adapter across a real wire.

mod poll;
mod readback;
mod site;
mod tokens;
mod write;
