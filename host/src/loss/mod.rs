//! Angular-margin losses, one file each.
