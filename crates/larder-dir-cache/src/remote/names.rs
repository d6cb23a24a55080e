//! Which names and links an archive may hold.

use std::ffi::OsStr;

use crate::meta;
use std::os::unix::ffi::OsStrExt;

/// The name without its last segment; empty at the top.
pub(super) fn parent(name: &[u8]) -> &[u8] {
    name.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &name[..slash])
}

/// Whether the name lies below the entry, says so plainly, and is none of the cache's own.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').all(|segment| {
        !matches!(segment, b"" | b"." | b"..") && !meta::is_own_name(OsStr::from_bytes(segment))
    })
}

/// Whether a link of this name stays inside the entry, whatever other such links it leads through: it goes up at its
/// start only, from where it lies, which is a real directory, and no further than the entry.
pub(super) fn stays_inside(name: &[u8], target: &[u8]) -> bool {
    let depth = name.iter().filter(|byte| **byte == b'/').count();
    let mut segments = target.split(|byte| *byte == b'/').peekable();
    let mut ups = 0;
    while segments.next_if(|segment| *segment == b"..").is_some() {
        ups += 1;
    }
    !target.is_empty()
        && !target.starts_with(b"/")
        && ups <= depth
        && segments.all(|segment| segment != b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lie_below_the_entry() {
        for plain in ["a", "a/b", "a/..b", ".a", "...", " "] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for odd in ["", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "a/../b", ".cache_meta.x/a"] {
            assert!(!is_plain(odd.as_bytes()), "{odd}");
        }
        assert_eq!((parent(b"a/b/c"), parent(b"a")), (&b"a/b"[..], &b""[..]));
    }

    #[test]
    fn links_stay_inside_the_entry() {
        for (name, target) in [("l", "a"), ("l", "a/b/./c"), ("d/l", "../a"), ("d/e/l", "../../a")]
        {
            assert!(stays_inside(name.as_bytes(), target.as_bytes()), "{name} -> {target}");
        }
        let outside = [("l", ""), ("l", "/a"), ("l", ".."), ("d/l", "../../a"), ("d/l", "e/../a")];
        for (name, target) in outside {
            assert!(!stays_inside(name.as_bytes(), target.as_bytes()), "{name} -> {target}");
        }
    }
}
