//! Directory caches among processes.

mod remote;
