//! Reading a text from left to right, and saying where it stops being what it should be.

/// Where a text stops being a child, and what should stand there.
pub(super) struct Mistake {
    /// Counts from 1.
    pub column: usize,
    pub expected: String,
}

/// Reads what has not been read yet.
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    pub fn mistake(&self, expected: impl Into<String>) -> Mistake {
        let read = &self.text[..self.text.len() - self.rest.len()];
        Mistake { column: read.chars().count() + 1, expected: expected.into() }
    }

    /// Passes this symbol, which must come.
    pub fn symbol(&mut self, symbol: &str) -> Result<(), Mistake> {
        if self.accept(symbol) { Ok(()) } else { Err(self.mistake(format!("`{symbol}`"))) }
    }

    /// Passes this symbol if it comes.
    pub fn accept(&mut self, symbol: &str) -> bool {
        let after = self.rest.strip_prefix(symbol);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    pub fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Everything up to `end`, which must come; passes nothing.
    pub fn until(&self, end: char, expected: &str) -> Result<&'a str, Mistake> {
        let (word, _) = self.rest.split_once(end).ok_or_else(|| self.mistake(expected))?;
        Ok(word)
    }

    /// A decimal number that `allowed` takes.
    pub fn number(&mut self, allowed: impl Fn(usize) -> bool, expected: &str) -> Result<usize, Mistake> {
        let digits = self.rest.len() - self.rest.trim_start_matches(|symbol: char| symbol.is_ascii_digit()).len();
        let (number, after) = self.rest.split_at(digits);
        let number = number.parse().ok().filter(|number| allowed(*number)).ok_or_else(|| self.mistake(expected))?;
        self.rest = after;
        Ok(number)
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Mistake> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.mistake("the end")) }
    }
}
