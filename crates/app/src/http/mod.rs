//! The HTTP side: who may call what, and the shapes of the answers. It holds no SQL.

pub mod pages;
