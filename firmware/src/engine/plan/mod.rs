//! The plan format and its interpreter over one static arena.
