//! Recorded answers, where `REJOINDER_FIXTURES` names their folder.
