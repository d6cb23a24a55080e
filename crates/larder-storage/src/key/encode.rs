use super::{RESERVED_SEGMENT, is_device_name};

/// What [`super::Key::encode`] documents, without the limit on its length.
pub(super) fn encode(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut encoded =
        escape(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c) || !c.is_ascii());
    if encoded.ends_with('.') {
        encoded.pop();
        push_escaped(&mut encoded, b'.');
    }
    if is_device_name(&encoded) || encoded.eq_ignore_ascii_case(RESERVED_SEGMENT) {
        // Both kinds of name start with an ASCII character that is not escaped.
        let first = encoded.remove(0);
        encoded.insert_str(0, &escape(first.encode_utf8(&mut [0; 4]), |_| false));
    }
    encoded
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) {
            encoded.push(c);
        } else {
            // Only ASCII is escaped, so a character is one byte.
            push_escaped(&mut encoded, c as u8);
        }
    }
    encoded
}

fn push_escaped(encoded: &mut String, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    encoded.push('%');
    encoded.push(DIGITS[usize::from(byte >> 4)].into());
    encoded.push(DIGITS[usize::from(byte & 15)].into());
}

/// Undoes [`encode`], and accepts nothing that [`encode`] would not have written.
pub(super) fn decode(segment: &str) -> Option<String> {
    let text = if segment == "%" { String::new() } else { unescape(segment)? };
    (encode(&text) == segment).then_some(text)
}

fn unescape(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}
