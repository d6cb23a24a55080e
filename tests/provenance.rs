//! The provenance store seen from outside: its keys.

mod keys;
