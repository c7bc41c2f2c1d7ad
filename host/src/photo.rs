//! A photograph as people have it: decoded, turned upright, its faces found, the right one aligned.
