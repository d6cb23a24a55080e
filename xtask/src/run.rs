//! Running other programs.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// An error is one line for a maintainer to read.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end with the terminal shared; whether it exited with success.
pub(crate) fn passes(command: &mut Command) -> Result<bool> {
    command.status().map(|status| status.success()).map_err(|error| cannot_run(command, &error))
}

/// Runs to the end and gives its standard output. A failure is told by the last line of its standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| cannot_run(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let reason = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{} failed ({}): {}", name(command), output.status, reason.trim()))
}

/// Runs to the end; each line of standard output is passed on `to` as it comes, and shown to `see`.
pub(crate) fn stream(
    command: &mut Command,
    to: &mut impl Write,
    mut see: impl FnMut(&str),
) -> Result<bool> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_run(command, &error))?;
    let piped =
        child.stdout.take().map_or(Ok(()), |stdout| pass_on(BufReader::new(stdout), to, &mut see));
    // Waited for even when the pipe failed: no child outlives its run.
    let status = child.wait().map_err(|error| cannot_run(command, &error))?;
    piped.map_err(|error| format!("cannot pass on the output of {}: {error}", name(command)))?;
    Ok(status.success())
}

fn pass_on(
    mut from: impl BufRead,
    to: &mut impl Write,
    see: &mut impl FnMut(&str),
) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        see(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    to.flush()
}

fn cannot_run(command: &Command, error: &io::Error) -> String {
    format!("cannot run {}: {error}", name(command))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamed_program_passes_each_line_on_and_tells_its_success() {
        let (mut passed_on, mut seen) = (Vec::new(), String::new());
        assert!(
            stream(cargo().arg("--version"), &mut passed_on, |line| seen.push_str(line)).unwrap()
        );
        assert!(seen.starts_with("cargo "), "{seen}");
        assert_eq!(String::from_utf8(passed_on).unwrap().trim_end(), seen);
        assert!(
            !stream(
                cargo().args(["--quiet", "--no-such-flag"]).stderr(Stdio::null()),
                &mut io::sink(),
                |_| ()
            )
            .unwrap()
        );
    }

    #[test]
    fn output_that_is_not_utf_8_is_passed_on_as_it_is() {
        let (mut passed_on, mut seen) = (Vec::new(), Vec::new());
        pass_on(&b"\xff\nlast"[..], &mut passed_on, &mut |line: &str| seen.push(line.to_owned()))
            .unwrap();
        assert_eq!(passed_on, b"\xff\nlast");
        assert_eq!(seen, ["\u{fffd}", "last"]);
    }

    #[test]
    fn a_missing_program_and_a_failing_one_say_which() {
        let missing = passes(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(missing.starts_with("cannot run no-such-program-anywhere: "), "{missing}");
        let failing = capture(cargo().arg("no-such-subcommand-anywhere")).unwrap_err();
        assert!(failing.contains(" failed ("), "{failing}");
    }
}
