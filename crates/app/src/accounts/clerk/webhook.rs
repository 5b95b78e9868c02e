//! What Clerk tells of its people.
