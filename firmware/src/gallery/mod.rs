//! People and templates in NOR flash.
