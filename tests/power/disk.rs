//! A disk of its own, in a file, whose power can be cut.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::{is_installed, may_mount, not_possible, skip, text};

/// FS_IOC_SHUTDOWN with the argument for "flush nothing, not even the journal", on each path that it reads.
const CUTTER: &str = r#"
import fcntl, os, struct, sys
for line in sys.stdin:
    place = os.open(line.rstrip("\n"), os.O_RDONLY)
    fcntl.ioctl(place, 0x8004587D, struct.pack("I", 2))
    os.close(place)
    print("cut", flush=True)
"#;

/// A mounted file system. What was not flushed to it when the power is cut is gone.
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
    cutter: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    // Declared last: removed after the unmount of `drop`.
    _dir: TempDir,
}

impl Disk {
    /// A new disk with the file system `kind`, or `None` where this machine allows none: then `test` counts as skipped.
    pub(crate) fn make(test: &str, kind: &str) -> Option<Self> {
        let mkfs = format!("mkfs.{kind}");
        for program in [OsStr::new(&mkfs), "mount".as_ref(), &python()] {
            if !is_installed(program) {
                skip(test, &format!("no {}: install it", program.display()));
                return None;
            }
        }
        if !may_mount() || !Path::new("/dev/loop-control").exists() {
            not_possible(test, "power cuts need Linux, root and /dev/loop-control");
            return None;
        }
        Some(Self::try_make(&mkfs).unwrap_or_else(|reason| panic!("no disk for {test}: {reason}")))
    }

    fn try_make(mkfs: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        // The smallest size that mkfs.xfs takes; sparse, so that it costs little.
        File::create(&image).and_then(|file| file.set_len(300 << 20)).unwrap();
        std::fs::create_dir(&mount).unwrap();
        run(Command::new(mkfs).arg("-q").arg(&image))?;
        let mut cutter = Command::new(python())
            .args(["-c", CUTTER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run python3: {error}"))?;
        let (orders, answers) = (cutter.stdin.take().unwrap(), cutter.stdout.take().unwrap());
        let disk =
            Self { image, mount, cutter, orders, answers: BufReader::new(answers), _dir: dir };
        disk.mount().map(|()| disk)
    }

    /// Where files lie on it.
    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: from here on every change fails.
    pub(crate) fn cut(&mut self) {
        writeln!(self.orders, "{}", self.mount.display()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "cut\n", "the file system refuses to be shut down");
    }

    /// Starts again after a cut. Nothing on the disk may be open.
    pub(crate) fn restart(&self) {
        self.unmount().unwrap();
        self.mount().unwrap();
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).args([&self.image, &self.mount]))
    }

    /// Again while it is busy: between fork and exec, a child of another test holds what is open here.
    fn unmount(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match run(Command::new("umount").arg(&self.mount)) {
                Err(reason) if reason.contains("busy") && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                unmounted => return unmounted,
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount();
        let _ = self.cutter.kill();
        let _ = self.cutter.wait();
    }
}

fn python() -> OsString {
    std::env::var_os("LARDER_PYTHON").unwrap_or("python3".into())
}

/// Runs to the end; a failure is told by what the program said.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr).trim().to_owned()) }
}
