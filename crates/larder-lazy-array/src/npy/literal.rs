//! The one Python literal that a header is: a dictionary of `descr`, `fortran_order` and `shape`.

/// The dictionary, with its keys in any order.
pub(super) struct Dict {
    pub(super) descr: Descr,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

pub(super) enum Descr {
    Named(String),
    /// A list of fields, which is not read any further.
    Structured,
}

/// `None` where the text is anything else.
pub(super) fn parse(text: &[u8]) -> Option<Dict> {
    let mut cursor = Cursor(text);
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect(b'{')?;
    while !cursor.eat(b'}') {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        let again = match key {
            "descr" if cursor.peek() == Some(b'[') => {
                descr = Some(Descr::Structured);
                return Some(Dict { descr: descr?, fortran_order: false, shape: Vec::new() });
            }
            "descr" => descr.replace(Descr::Named(cursor.string()?.to_owned())).is_some(),
            "fortran_order" => fortran_order.replace(cursor.boolean()?).is_some(),
            "shape" => shape.replace(cursor.shape()?).is_some(),
            _ => return None,
        };
        if again || !(cursor.eat(b',') || cursor.peek() == Some(b'}')) {
            return None;
        }
    }
    cursor.peek().is_none().then_some(())?;
    Some(Dict { descr: descr?, fortran_order: fortran_order?, shape: shape? })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.0 = self.0.trim_ascii_start();
        self.0.first().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.0 = &self.0[1..];
        }
        there
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        self.0 = self.0.trim_ascii_start();
        let end = self.0.iter().position(|byte| !wanted(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// A quoted string; none of ours needs an escape, so that a backslash is refused.
    fn string(&mut self) -> Option<&'a str> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let inner = &self.0[1..];
        let end = inner.iter().position(|byte| *byte == quote)?;
        self.0 = &inner[end + 1..];
        std::str::from_utf8(&inner[..end]).ok().filter(|text| !text.contains('\\'))
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.take_while(|byte| byte.is_ascii_alphabetic()) {
            b"True" => Some(true),
            b"False" => Some(false),
            _ => None,
        }
    }

    /// A tuple of lengths; a single one has a comma after it.
    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        let mut comma = true;
        self.expect(b'(')?;
        while !self.eat(b')') {
            comma.then_some(())?;
            shape.push(self.length()?);
            comma = self.eat(b',');
        }
        (comma || shape.len() > 1).then_some(shape)
    }

    fn length(&mut self) -> Option<usize> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        // What Python 2 wrote has a suffix.
        self.0 = self.0.strip_prefix(b"L").unwrap_or(self.0);
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}
