//! One XML element read attribute by attribute: what is asked for is taken with its grammar, what remains is warned about
//! (12200), as are children that do not belong. Which elements exist is the parent module's and [`super::nouns`]'.

use std::ops::RangeInclusive;

use roxmltree::Node;

use super::{Alert, Method, Origin, Target};

/// What text inside `<Say>` may be marked up with.
const SSML: &[&str] = &["break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"];

pub(super) struct Element<'w, 'a, 'input> {
    node: Node<'a, 'input>,
    origin: &'w Origin,
    warnings: &'w mut Vec<Alert>,
    taken: Vec<&'static str>,
    body_taken: bool,
}

impl<'w, 'a, 'input> Element<'w, 'a, 'input> {
    pub(super) fn new(node: Node<'a, 'input>, origin: &'w Origin, warnings: &'w mut Vec<Alert>) -> Self {
        Self { node, origin, warnings, taken: Vec::new(), body_taken: false }
    }

    pub(super) fn name(&self) -> &'a str {
        self.node.tag_name().name()
    }

    pub(super) fn warn(&mut self, attribute: &str) {
        let what = format!("<{}> with an invalid {attribute}", self.name());
        self.warnings.push(Alert::new(12200, what));
    }

    pub(super) fn alert(&mut self, alert: Alert) {
        self.warnings.push(alert);
    }

    pub(super) fn text(&mut self, attribute: &'static str) -> Option<String> {
        self.taken.push(attribute);
        self.node.attribute(attribute).map(str::to_owned)
    }

    pub(super) fn ignored(&mut self, attributes: &[&'static str]) {
        self.taken.extend(attributes);
    }

    pub(super) fn number(&mut self, attribute: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(text) = self.text(attribute) else { return default };
        match text.parse().ok().filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                self.warn(attribute);
                default
            }
        }
    }

    pub(super) fn flag(&mut self, attribute: &'static str, default: bool) -> bool {
        self.word(attribute, &["true", "false"], if default { "true" } else { "false" }) == "true"
    }

    pub(super) fn word(
        &mut self,
        attribute: &'static str,
        words: &[&'static str],
        default: &'static str,
    ) -> &'static str {
        let Some(text) = self.text(attribute) else { return default };
        match words.iter().find(|word| **word == text) {
            Some(word) => word,
            None => {
                self.warn(attribute);
                default
            }
        }
    }

    /// A list of words, separated by spaces.
    pub(super) fn words(&mut self, attribute: &'static str, words: &[&'static str], default: &[&str]) -> Vec<String> {
        let Some(text) = self.text(attribute) else { return default.iter().map(|&word| word.to_owned()).collect() };
        let (known, unknown): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(|word| words.contains(word));
        if !unknown.is_empty() {
            self.warn(attribute);
        }
        known.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn method(&mut self, attribute: &'static str) -> Method {
        match self.word(attribute, &["POST", "GET"], "POST") {
            "GET" => Method::Get,
            _ => Method::Post,
        }
    }

    pub(super) fn target(&mut self, url: &'static str, method: &'static str) -> Option<Target> {
        let method = self.method(method);
        let text = self.text(url)?;
        self.resolve(&text).map(|url| Target { url, method })
    }

    /// An address that must be absolute even in a document that has an origin.
    pub(super) fn absolute_target(&mut self, url: &'static str, method: &'static str) -> Option<Target> {
        let method = self.method(method);
        let text = self.text(url)?;
        if text.starts_with("https://") || text.starts_with("http://") {
            return self.resolve(&text).map(|url| Target { url, method });
        }
        self.alert(Alert::new(11100, format!("{url} of <{}> is not absolute", self.name())));
        None
    }

    pub(super) fn body_text(&mut self) -> String {
        self.body_taken = true;
        let texts = self.node.children().filter(Node::is_text).filter_map(|child| child.text());
        texts.collect::<String>().trim().to_owned()
    }

    pub(super) fn body_address(&mut self) -> Option<String> {
        let text = self.body_text();
        if text.is_empty() { None } else { self.resolve(&text) }
    }

    /// Text with the markup of speech taken out.
    pub(super) fn spoken(&mut self) -> String {
        self.body_taken = true;
        let texts = self.node.descendants().filter(Node::is_text).filter_map(|child| child.text());
        texts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Twilio keeps an address as it is written (only a relative one is joined to its document's), so that the signature
    /// covers the very bytes the document names.
    fn resolve(&mut self, text: &str) -> Option<String> {
        let resolved = if text.starts_with("https://") || text.starts_with("http://") {
            url::Url::parse(text).ok().map(|_| text.to_owned())
        } else {
            self.origin.url.as_ref().and_then(|base| base.join(text).ok()).map(|url| url.to_string())
        };
        let resolved = resolved.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        if resolved.is_none() {
            self.alert(Alert::new(11100, format!("<{}> with an address that cannot be requested", self.name())));
        }
        resolved
    }

    /// Warns about what was not asked for and returns the children of these names.
    pub(super) fn finish(self, children: &[&str]) -> Vec<Node<'a, 'input>> {
        self.finish_with_warnings(children).0
    }

    pub(super) fn finish_spoken(self) {
        self.finish(SSML);
    }

    pub(super) fn finish_with_warnings(self, children: &[&str]) -> (Vec<Node<'a, 'input>>, &'w mut Vec<Alert>) {
        let name = self.name();
        for attribute in self.node.attributes() {
            if attribute.namespace().is_none() && !self.taken.contains(&attribute.name()) {
                self.warnings
                    .push(Alert::new(12200, format!("<{name}> with an unknown attribute {}", attribute.name())));
            }
        }
        let has_text = self.node.children().any(|c| c.is_text() && !c.text().unwrap_or_default().trim().is_empty());
        if has_text && !self.body_taken && name != "Response" {
            self.warnings.push(Alert::new(12200, format!("<{name}> with text inside")));
        }
        let mut known = Vec::new();
        for child in self.node.children().filter(Node::is_element) {
            if children.contains(&child.tag_name().name()) {
                known.push(child);
            } else if name != "Response" {
                let inner = child.tag_name().name();
                self.warnings.push(Alert::new(12200, format!("<{inner}> does not belong into <{name}>")));
            }
        }
        (known, self.warnings)
    }
}
