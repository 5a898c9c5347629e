//! No secret and no real telephone number in the tree. A credential is known by its shape; a number passes only when it
//! is reserved for fiction or stands in a vendor's documentation.

use regex::Regex;

use super::Violation;
use super::tree::Tree;

/// Numbers that may stand in the tree: NANP 555-01xx in any area code or as area code 555, the UK's drama numbers, and
/// Twilio's magic test numbers. The last digits may be missing: a program adds them.
const FICTION: &str = r"^\+(?:1\d{3}55501\d{0,2}|1555\d{7}|4420794609\d{2}|447700900\d{3}|1500555\d{4})$";
/// Numbers of Twilio's documentation: those its signature examples are signed over, and those that stand for a caller
/// who is anonymous, restricted or unavailable.
const DOCUMENTED: [&str; 7] =
    ["+14158675310", "+14158675309", "+18005551212", "+15550001", "+266696687", "+7378742833", "+86282452253"];
/// Files whose long digit strings are checksums.
const CHECKSUMS: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Credentials by shape, with what they are.
const CREDENTIALS: [(&str, &str); 8] = [
    (r"\bsk-[A-Za-z0-9_-]{20,}", "an OpenAI key"),
    (r"\bsk_[0-9a-f]{40,}", "an ElevenLabs key"),
    (r"\bxai-[A-Za-z0-9]{20,}", "an xAI key"),
    (r"\bAIza[0-9A-Za-z_-]{35}", "a Google key"),
    (r"\bAKIA[0-9A-Z]{16}\b", "an AWS key id"),
    (r"\bgh[pousr]_[A-Za-z0-9]{30,}", "a GitHub token"),
    (r"\b(?:FlyV1 )?fm[12][ar]?_[A-Za-z0-9+/=]{40,}", "a Fly token"),
    (r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----", "a private key"),
];

/// Secrets and numbers that look real.
pub(crate) fn violations(tree: &Tree) -> Vec<Violation> {
    let number = Regex::new(r"\+[1-9]\d{7,14}\b").expect("a pattern of ours");
    let fiction = Regex::new(FICTION).expect("a pattern of ours");
    let sid = Regex::new(r"\b(AC|SK)([0-9a-fA-F]{32})\b").expect("a pattern of ours");
    let shapes = CREDENTIALS.map(|(shape, what)| (Regex::new(shape).expect("a pattern of ours"), what));
    let mut found = Vec::new();
    for file in &tree.files {
        let has_checksums = file.is(&CHECKSUMS);
        for (line_number, line) in file.lines() {
            for number in number.find_iter(line).filter(|_| !has_checksums) {
                let number = number.as_str();
                if !fiction.is_match(number) && !DOCUMENTED.contains(&number) {
                    let what = format!("{number} may be someone's telephone: use one of the form +1 415 555 01xx");
                    found.push(Violation::at(&file.path, line_number, what));
                }
            }
            for sid in sid.captures_iter(line) {
                let (Some(kind), Some(digits)) = (sid.get(1), sid.get(2)) else { continue };
                if !looks_invented(digits.as_str()) {
                    let what = format!("an {}… that looks real: invent one of zeros and a digit", kind.as_str());
                    found.push(Violation::at(&file.path, line_number, what));
                }
            }
            for (_, what) in
                shapes.iter().filter(|(shape, _)| shape.find(line).is_some_and(|hit| !says_fake(hit.as_str())))
            {
                found.push(Violation::at(&file.path, line_number, format!("{what}: a secret has no place here")));
            }
        }
    }
    found
}

/// Whether a string of hex digits was made up: few different digits, or mostly counting upwards. Of 32 random digits
/// hardly ever fewer than nine are different or more than ten follow their neighbour.
fn looks_invented(hex: &str) -> bool {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let different = (0..16).filter(|digit| digits.contains(digit)).count();
    let counting = digits.windows(2).filter(|pair| pair[1] == pair[0] + 1 || pair[1] == 0 && pair[0] >= 9).count();
    different <= 5 || counting >= 20
}

/// Whether a credential says of itself that it is none.
fn says_fake(credential: &str) -> bool {
    ["fake", "test", "example", "invented"].iter().any(|word| credential.to_lowercase().contains(word))
}

#[cfg(test)]
mod tests {
    use super::{looks_invented, violations};
    use crate::tidy::tree::Tree;

    fn found(text: &str) -> usize {
        violations(&Tree::with(&[("docs/page.md", text)])).len()
    }

    #[test]
    fn a_real_looking_number_is_found_and_fiction_is_not() {
        // Put together at run time, or this file would break its own rule.
        let real = format!("+{}", "1415".to_owned() + "8675" + "311");
        assert_eq!(found(&format!("call {real} now\nand {real}")), 2);
        let fine = ["+14155550100", "+15550100123", "+442079460958", "+447700900123", "+15005550006", "+14158675310"];
        for number in fine {
            assert_eq!(found(&format!("From={number}&")), 0, "{number}");
        }
        assert_eq!(found("one + 1234567 and +12345 and 1+1"), 0);
    }

    #[test]
    fn checksums_are_not_numbers() {
        let sum = format!("sha512-a+{}/b", "12345678901");
        assert_eq!(violations(&Tree::with(&[("package-lock.json", &sum)])), []);
        assert_eq!(found(&sum), 1);
    }

    #[test]
    fn an_account_that_looks_real_is_found_and_an_invented_one_is_not() {
        let real = "9f3a71c04be82d6650a1ef937bd84c2e";
        assert_eq!(found(&format!("AC{real}")), 1);
        assert_eq!(found(&format!("SK{real}")), 1);
        for fake in
            ["00000000000000000000000000000001", "0123456789abcdef0123456789abcdef", "01234567890123456789012345678901"]
        {
            assert!(looks_invented(fake), "{fake}");
            assert_eq!(found(&format!("AC{fake}")), 0);
        }
    }

    #[test]
    fn credentials_are_known_by_their_shape() {
        assert_eq!(found(&format!("OPENAI_API_KEY={}-proj-{}", "sk", "Zx81kQ0pLw93mVbT72ne")), 1);
        assert_eq!(found(&format!("{}-fake-key-that-opens-nothing", "sk")), 0);
        assert_eq!(found(&format!("-----BEGIN {} KEY-----", "EC PRIVATE")), 1);
        assert_eq!(found(&format!("xi-api-key: {}_{}", "sk", "0a1b2c3d4e".repeat(5))), 1);
    }
}
