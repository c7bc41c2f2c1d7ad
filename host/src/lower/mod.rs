//! tract's decluttered graph to a plan, refused by node name where it cannot be exact.
