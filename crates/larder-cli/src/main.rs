//! placeholder
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the commands that use these modules are not written yet")
)]
mod genome;
mod report;

fn main() {}
