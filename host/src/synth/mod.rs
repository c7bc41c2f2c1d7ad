//! Synthetic identities without end: parametric portraits from seeds.
