//! The state machine that ties the rooms together; owns no hardware.
