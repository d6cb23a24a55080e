//! Arrays larger than memory.

use std::fs;

use super::start;
use crate::support::not_possible;

#[test]
fn arrays_of_2_gib_go_through_a_budget_of_64_mib_in_128_mib_of_memory() {
    if !fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("RssAnon:")) {
        return not_possible("the memory of arrays", "no RssAnon in /proc: this needs Linux");
    }
    let dir = tempfile::tempdir().unwrap();
    let told = start("stream", dir.path(), 0).rest();
    let (peak, spills) = told.trim_end().split_once(' ').unwrap();
    let (peak, spills): (u64, u64) = (peak.parse().unwrap(), spills.parse().unwrap());
    assert!(spills >= 30, "only {spills} arrays were spilled");
    assert!(peak >= 32 << 20, "{peak} bytes: no array was in memory");
    assert!(peak <= 128 << 20, "{peak} bytes of anonymous memory");
}
