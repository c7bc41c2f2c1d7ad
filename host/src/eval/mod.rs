//! Verification and identification figures through any engine.
