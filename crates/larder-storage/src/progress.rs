/// Hears how far a long operation has come, for instance to draw a bar.
///
/// `()` hears nothing.
pub trait Progress: Send + Sync {
    /// `done` of `total` units of `step` are finished; the unit is that of the operation's documentation.
    fn report(&self, step: &str, done: u64, total: u64);
}

impl Progress for () {
    fn report(&self, _step: &str, _done: u64, _total: u64) {}
}
