//! Of all processes that have a cache open, one runs the cycles.

use std::{
    io::{BufRead, BufReader, PipeReader, pipe},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::*;

const INTERVAL: Duration = Duration::from_millis(1500);
/// How late a process may be on a machine that has much to do.
const SLACK: Duration = Duration::from_millis(1000);

/// Processes that have the same root open in the background, and write to one pipe who ran a cycle.
fn crowd(root: &Path) -> (Vec<Child>, BufReader<PipeReader>) {
    let (heard, said) = pipe().unwrap();
    let interval = u32::try_from(INTERVAL.as_millis()).unwrap();
    let start = |_| {
        let mut command = command("lead", root, interval);
        command.stdin(Stdio::piped()).stdout(said.try_clone().unwrap()).spawn().unwrap()
    };
    ((0..3).map(start).collect(), BufReader::new(heard))
}

/// Who ran the next cycle.
fn hear(cycles: &mut BufReader<PipeReader>) -> u32 {
    let mut line = String::new();
    cycles.read_line(&mut line).unwrap();
    line.trim_end().parse().expect("a process")
}

#[test]
fn when_the_leader_is_killed_another_leads_within_an_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (mut processes, mut cycles) = crowd(dir.path());
    for left in (1..=2).rev() {
        let leader = hear(&mut cycles);
        assert_eq!(hear(&mut cycles), leader, "one leads");
        let at = processes.iter().position(|process| process.id() == leader).unwrap();
        let mut killed = processes.swap_remove(at);
        killed.kill().unwrap();
        killed.wait().unwrap();
        let start = Instant::now();
        let next = hear(&mut cycles);
        assert_ne!(next, leader);
        assert!(start.elapsed() < INTERVAL + SLACK, "{left} left, after {:?}", start.elapsed());
    }
    for mut process in processes {
        drop(process.stdin.take());
        assert!(process.wait().unwrap().success());
    }
    hear(&mut cycles);
    assert_eq!(cycles.lines().count(), 0, "the last cycle is that of the leader");
}
