use super::{Damage, Scanner, Trouble};

/// The most digits that a number may have for certain to be in the range of `f64`.
const FINITE_DIGITS: usize = 308;

impl Scanner<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Damage> {
        if self.eat(byte) { Ok(()) } else { Err(self.damage(expected)) }
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.at == self.text.len() { Ok(()) } else { Err(self.damage("the end")) }
    }

    pub(super) fn skip_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    }

    pub(super) fn note(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }

    fn damage(&self, expected: &'static str) -> Damage {
        Damage::new(self.at, expected)
    }

    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn skip_while(&mut self, skipped: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest();
        let count = rest.iter().position(|&byte| !skipped(byte)).unwrap_or(rest.len());
        self.at += count;
        count
    }

    pub(super) fn string(&mut self, expected: &'static str) -> Result<(), Damage> {
        self.expect(b'"', expected)?;
        loop {
            self.skip_while(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.damage("no control character in a string")),
                None => return Err(self.damage("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Damage> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                self.unicode()?;
            }
            _ => return Err(self.damage("one of \"\\/bfnrtu after a backslash")),
        }
        Ok(())
    }

    fn unicode(&mut self) -> Result<(), Damage> {
        match self.hex_digits()? {
            0xd800..=0xdbff if self.is_low_surrogate() => self.at += 6,
            0xd800..=0xdfff => self.note(Trouble::Surrogate),
            _ => {}
        }
        Ok(())
    }

    fn hex_digits(&mut self) -> Result<u32, Damage> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = 16 * unit + digit.ok_or_else(|| self.damage("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Whether an escape from `\udc00` to `\udfff` follows.
    fn is_low_surrogate(&self) -> bool {
        matches!(
            self.rest(),
            [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', third, fourth, ..]
                if third.is_ascii_hexdigit() && fourth.is_ascii_hexdigit()
        )
    }

    /// Anything but an array or an object.
    pub(super) fn scalar(&mut self) -> Result<(), Damage> {
        match self.peek() {
            Some(b'"') => return self.string("a value"),
            Some(b'0'..=b'9') => return self.number(),
            _ => {}
        }
        if self.word("true") || self.word("false") || self.word("null") {
            return Ok(());
        }
        if self.word("NaN") || self.word("Infinity") || self.word("-Infinity") {
            self.note(Trouble::NotFinite);
            return Ok(());
        }
        if self.peek() == Some(b'-') { self.number() } else { Err(self.damage("a value")) }
    }

    fn word(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word.as_bytes());
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn number(&mut self) -> Result<(), Damage> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        let has_exponent = self.eat(b'e') || self.eat(b'E');
        if has_exponent {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        if has_exponent || self.at - start > FINITE_DIGITS {
            self.check_range(start);
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Damage> {
        let count = self.skip_while(|byte| byte.is_ascii_digit());
        if count > 0 { Ok(()) } else { Err(self.damage("a digit")) }
    }

    /// Integers that are rounded are fine here: the text keeps all digits.
    fn check_range(&mut self, start: usize) {
        if self.text[start..self.at].parse().is_ok_and(f64::is_infinite) {
            self.note(Trouble::OutOfRange);
        }
    }
}
