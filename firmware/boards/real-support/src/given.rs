//! What the build was given: see `build.rs`.

include!(concat!(env!("OUT_DIR"), "/given.rs"));
