//! Reading JSON objects and base64 without building anything: members of an object as borrowed slices, and the length of
//! base64 without its bytes. Only for what is plain; a text with an escape, an odd form or a fault is `None` here and the
//! caller reads it again with serde, which also finds the fault's name.

use memchr::memchr2;

/// Nested values deeper than this are not plain.
const DEPTH: usize = 32;

/// Eight-byte words of a string that are searched one by one before the rest is: names are short, audio is long.
const WORDS: usize = 4;

/// A member's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A string without escapes, without its quotes.
    Text(&'a str),
    /// Anything else, as its JSON.
    Other(&'a str),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }

    /// The whole number, if it is one; Twilio writes its numbers as strings.
    pub(crate) fn number(self) -> Option<u32> {
        let (Self::Text(digits) | Self::Other(digits)) = self;
        digits.parse().ok()
    }
}

/// Calls `each` for every member of the object that `json` is and, with the outer member's name, for every member of the
/// objects in it, in order and in one pass. Deeper objects and arrays come as their JSON. `None`: not plain, and what `each`
/// was told so far must be forgotten.
pub(crate) fn members<'a>(
    json: &'a str,
    mut each: impl FnMut(Option<&'a str>, &'a str, Value<'a>) -> Option<()>,
) -> Option<()> {
    let mut at = Cursor { json, at: 0 };
    at.object(|at, key| {
        if at.peek()? != b'{' {
            let value = at.value()?;
            return each(None, key, value);
        }
        at.object(|at, inner| {
            let value = at.value()?;
            each(Some(key), inner, value)
        })
    })?;
    at.end()
}

struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// An object; `member` stands before a value and must pass over it.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.blanks();
            let key = self.text()?;
            self.expect(b':')?;
            self.blanks();
            member(self, key)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        self.blanks();
        (self.at == self.json.len()).then_some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let from = self.at + 1;
        let rest = self.json.as_bytes().get(from..)?;
        let length = string_end(rest)?;
        if *rest.get(length)? != b'"' {
            return None;
        }
        self.at = from + length + 1;
        self.json.get(from..from + length)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let from = self.at;
        match self.peek()? {
            b'"' => return self.text().map(Value::Text),
            b'{' | b'[' => self.nested()?,
            _ => {
                while let Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'E' | b'a'..=b'z') = self.peek() {
                    self.at += 1;
                }
                if self.at == from {
                    return None;
                }
            }
        }
        self.json.get(from..self.at).map(Value::Other)
    }

    /// Passes over an object or array. Only its strings and brackets are looked at; whoever wants its content reads it.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
            if depth > DEPTH {
                return None;
            }
        }
    }
}

/// Where the first quote or backslash is.
fn string_end(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Which bytes of a word are zero: their highest bit is set (and, by a borrow, perhaps that of bytes after the first).
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, _) = text.as_chunks::<8>();
    let searched = words.len().min(WORDS);
    for (place, word) in words.iter().take(searched).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(place * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    memchr2(b'"', b'\\', text.get(searched * 8..)?).map(|at| searched * 8 + at)
}

/// How many bytes this base64 (standard alphabet, padded) stands for; `None` when it is not base64. A text that passes
/// can stand between the quotes of a JSON string as it is.
pub(crate) fn base64_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take(2).take_while(|b| **b == b'=').count();
    let (digits, _) = bytes.split_at_checked(bytes.len() - padding)?;
    let mut odd = 0u8;
    for &byte in digits {
        // Branchless, so that it is compiled to vector instructions.
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let sign = (byte == b'+') | (byte == b'/');
        odd |= u8::from(!(letter | digit | sign));
    }
    (odd == 0).then_some(bytes.len() / 4 * 3 - padding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn all(json: &str) -> Option<Vec<(String, Value<'_>)>> {
        let mut found = Vec::new();
        members(json, |outer, key, value| {
            found.push((outer.map_or(key.to_owned(), |outer| format!("{outer}.{key}")), value));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn members_are_borrowed_in_order() {
        assert_eq!(all(" {} "), Some(vec![]));
        let found = all(r#"{"a":"x" , "b":-1.5e3,"c":{"d":["}"], "g":{"h":{}}},"e":null, "f" : [ ], "i":{} }"#);
        let expected = [
            ("a", Value::Text("x")),
            ("b", Value::Other("-1.5e3")),
            ("c.d", Value::Other(r#"["}"]"#)),
            ("c.g", Value::Other(r#"{"h":{}}"#)),
            ("e", Value::Other("null")),
            ("f", Value::Other("[ ]")),
        ];
        assert_eq!(found, Some(expected.map(|(key, value)| (key.to_owned(), value)).to_vec()));
        let long = format!(r#"{{"{0}":"{0}"}}"#, "x".repeat(100));
        assert_eq!(all(&long).map(|found| found.len()), Some(1));
    }

    #[test]
    fn what_is_not_plain_is_left_to_serde() {
        for odd in [
            "",
            "[]",
            "{",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":"\n"}"#,
            r#"{"a":{"b":"\""}}"#,
            r#"{"a":"x}"#,
            r#"{"a":1 2}"#,
            r#"{a:1}"#,
            r#"{"a":{"b":1}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":"twenty-four letters and \u0000 more"}"#,
            r#"{"a":"twenty-four letters and no end"#,
            "\u{feff}{}",
        ] {
            assert_eq!(all(odd), None, "{odd}");
        }
        let bomb = format!(r#"{{"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(all(&bomb), None);
    }

    #[test]
    fn base64_is_measured_and_nothing_else_passes() {
        for bytes in 0..70usize {
            assert_eq!(base64_len(&STANDARD.encode(vec![0xfb; bytes])), Some(bytes));
        }
        for odd in
            ["A", "AA", "AAA", "====", "A===", "AA=A", "AAA\"", "AA\\n", "AAA-", "AAA_", "AAA ", "ÄÄ", "@@@@", "[[[["]
        {
            assert_eq!(base64_len(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_strings_end_is_the_first_quote_or_backslash(text in proptest::collection::vec(prop_oneof![20 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..80)) {
            prop_assert_eq!(string_end(&text), text.iter().position(|byte| matches!(byte, b'"' | b'\\')));
        }

        #[test]
        fn any_text_is_borne(text in ".*") {
            let _ = all(&text);
            if let Some(length) = base64_len(&text) {
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')));
                prop_assert!(length <= text.len());
            }
        }

        #[test]
        fn what_is_plain_is_what_serde_reads(keys in proptest::collection::btree_map("[a-z]{1,8}", "[ -!#-Z^-~]{0,20}", 0..6)) {
            let json = serde_json::to_string(&keys).unwrap();
            let found = all(&json).unwrap();
            prop_assert_eq!(found.len(), keys.len());
            for ((key, value), (k, v)) in found.into_iter().zip(&keys) {
                prop_assert_eq!(&key, k);
                prop_assert_eq!(value.text(), Some(v.as_str()));
            }
        }
    }
}
