//! Reading JSON objects and base64 without building anything: members of an object as borrowed slices, and the length of
//! base64 without its bytes. Only for what is plain; a text with an escape, an odd form or a fault is `None` here and the
//! caller reads it again with serde, which also finds the fault's name.

use memchr::memchr2;

/// Nested values deeper than this are not plain.
const DEPTH: usize = 32;

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

    /// The whole number, if it is one.
    pub(crate) fn number(self) -> Option<u32> {
        match self {
            Self::Text(_) => None,
            Self::Other(json) => json.parse().ok(),
        }
    }
}

/// Calls `each` for every member of the object that `json` is, in order. `None`: not plain, and what `each` was told so
/// far must be forgotten.
pub(crate) fn members<'a>(json: &'a str, mut each: impl FnMut(&'a str, Value<'a>) -> Option<()>) -> Option<()> {
    let mut at = Cursor { json, at: 0 };
    at.expect(b'{')?;
    if at.take(b'}') {
        return at.end();
    }
    loop {
        at.blanks();
        let key = at.text()?;
        at.expect(b':')?;
        at.blanks();
        each(key, at.value()?)?;
        if !at.take(b',') {
            at.expect(b'}')?;
            return at.end();
        }
    }
}

struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
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
        let length = memchr2(b'"', b'\\', self.json.as_bytes().get(from..)?)?;
        self.at = from + length;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
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

    fn all(json: &str) -> Option<Vec<(&str, Value<'_>)>> {
        let mut found = Vec::new();
        members(json, |key, value| {
            found.push((key, value));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn members_are_borrowed_in_order() {
        assert_eq!(all(" {} "), Some(vec![]));
        assert_eq!(
            all(r#"{"a":"x" , "b":-1.5e3,"c":{"d":["}"]},"e":null, "f" : [ ] }"#),
            Some(vec![
                ("a", Value::Text("x")),
                ("b", Value::Other("-1.5e3")),
                ("c", Value::Other(r#"{"d":["}"]}"#)),
                ("e", Value::Other("null")),
                ("f", Value::Other("[ ]")),
            ])
        );
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
                prop_assert_eq!(key, k);
                prop_assert_eq!(value.text(), Some(v.as_str()));
            }
        }
    }
}
