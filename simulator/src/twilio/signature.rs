//! How Twilio signs what it sends (`X-Twilio-Signature`): HMAC-SHA1 over the address and the sorted form fields. Source:
//! Twilio's page "Webhooks security". Written for the signing side only; what a receiver may accept is not decided here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The signature of these bytes of an address, verbatim, and these decoded form fields (none for GET, JSON and WebSocket).
/// Fields are sorted by name; of a repeated field each different value counts once, sorted.
#[must_use]
pub fn sign(auth_token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut fields: Vec<&(String, String)> = fields.iter().collect();
    fields.sort();
    fields.dedup();
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(url.as_bytes());
    for (name, value) in fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The address as Twilio signs it: without fragment and user information, and over https (and wss) without its port.
#[must_use]
pub fn signed_address(url: &str) -> String {
    let without_fragment = url.split_once('#').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = without_fragment.split_once("://") else { return without_fragment.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let secure = matches!(scheme, "https" | "wss");
    let port = host.rsplit_once(':').filter(|(_, port)| secure && port.bytes().all(|b| b.is_ascii_digit()));
    format!("{scheme}://{}{path}", port.map_or(host, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ffeeddccbbaa99887766554433221100";

    fn form(body: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    /// Computed with Twilio's Node and Python helpers.
    const KNOWN: &[(&str, &str, &str, &str)] = &[
        (
            "S1",
            "https://voice.example.com/twilio/voice",
            "CallSid=CA00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000001&From=%2B14155550100&To=%2B18005550199&CallStatus=ringing&Direction=inbound&ApiVersion=2010-04-01",
            "DEv8lNJ/2oKt9YimCphTg+hjXvs=",
        ),
        (
            "S2",
            "https://voice.example.com/twilio/voice?tenant=7&x=a%20b",
            "CallSid=CA00000000000000000000000000000001&Digits=1234",
            "/IE94g8Al88pWkVgTeRZPf6b30A=",
        ),
        (
            "S3",
            "https://voice.example.com/twilio/voice?CallSid=CA00000000000000000000000000000001&From=%2B14155550100&To=%2B18005550199",
            "",
            "iQaRIfkhGn3/ZbYy+rblJb9YiCE=",
        ),
        (
            "S4",
            "https://voice.example.com/cb",
            "MediaUrl=https%3A%2F%2Fb.example%2F2&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fb.example%2F2&Body=hi",
            "Fu40N/uPopWkWct3yOrE0e6Vmgs=",
        ),
        (
            "S5",
            "https://voice.example.com/cb",
            "CallSid=CA00000000000000000000000000000001&FromCity=&ToZip=&Digits=",
            "dlLn5DhnnFvfg4G/rxU95MXQyKw=",
        ),
        (
            "S6",
            "https://voice.example.com/cb",
            "CallerName=Zo%C3%AB+%F0%9F%9A%80+%26+Co&SpeechResult=one+%2B+one+%3D+two+&From=%2B14155550100",
            "AlhIIUtf6gg06MdKjcGmo444dK0=",
        ),
        (
            "S7",
            "https://voice.example.com/cb",
            "1=6&b=1&A=2&a=3&B=4&_=5&From=x&FromCity=y",
            "tiPWYkcyEiwW4pLUY5PvoYrCsaw=",
        ),
        ("S8", "https://voice.example.com/cb", "a=1", "jbDDYwc6xVWtTT7GrzFVYVfk9Rw="),
        ("S9", "https://voice.example.com:8443/cb", "a=1", "aMeve16wEit5tjpQ3JfHa8dDXMw="),
        ("S10", "http://voice.example.com:8080/cb", "a=1", "tJiLpdSQUNt22SYy98ZM4qOYfaY="),
        ("S11", "https://voice.example.com:443/cb", "a=1", "oXzjk6VZ6elQkODAwI+Zzwpq6Oc="),
        (
            "S12",
            "https://voice.example.com/json?bodySHA256=21c4006085c53a00eed22e8633d5bb0940aa3d3c1e321821ca965d4d3b156918",
            "",
            "+zR45bLFywDq4Q0OdpXTL/03vEY=",
        ),
        ("S13", "wss://voice.example.com/media", "", "AMXUlK5LreAdTRm7qnI3NsGHaYA="),
        ("S14", "wss://voice.example.com/media/", "", "X/1LxKuixb6nv1DjHWD+NsQpdTo="),
        ("S15", "wss://voice.example.com", "", "eP+kEepHpmMAfE5oGXas++saYkg="),
        ("S16", "wss://voice.example.com/", "", "8NmP31qY+UTPZQ3Q2MgTUw/X+Rc="),
        ("S17", "https://voice.example.com/media", "", "19/4V2eB+vWAHLDJqH0tcA8RbEg="),
        ("S18", "https://voice.example.com/cb?name=O'Brien", "a=1", "UWiy98FzH5cVsqzICCEwsUNCuGc="),
        ("S19", "https://voice.example.com/cb?name=O%27Brien", "a=1", "9vAxl+MIHcPj3ozjW2mZaQy5eQE="),
        ("S20", "https://voice.example.com/cb/%7Euser/a%2Fb?q=a+b&e=", "a=1", "7I0ManUx5OnTLcxVG8ILXflkGb0="),
    ];

    #[test]
    fn known_answers() {
        for (name, url, body, expected) in KNOWN {
            assert_eq!(sign(TOKEN, url, &form(body)), *expected, "{name}");
        }
        let fields =
            form("CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212");
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign("12345", url, &fields), "L/OH5YylLD5NRKLltdqwSvS0BnU=", "the documentation's own example");
    }

    #[test]
    fn the_signed_address_is_what_twilio_signs_not_what_it_requests() {
        for (requested, signed) in [
            ("https://a.example/cb", "https://a.example/cb"),
            ("https://a.example:443/cb", "https://a.example/cb"),
            ("https://a.example:8443/cb?x=1:2", "https://a.example/cb?x=1:2"),
            ("wss://a.example:8443/media", "wss://a.example/media"),
            ("http://127.0.0.1:8787/voice", "http://127.0.0.1:8787/voice"),
            ("ws://127.0.0.1:9000/media/a", "ws://127.0.0.1:9000/media/a"),
            ("https://me:pw@a.example/cb?b=%20#rc=3&rp=5xx", "https://a.example/cb?b=%20"),
            ("https://a.example?x=1", "https://a.example?x=1"),
            ("https://[::1]/cb", "https://[::1]/cb"),
            ("https://[::1]:8443/cb", "https://[::1]/cb"),
        ] {
            assert_eq!(signed_address(requested), signed, "{requested}");
        }
    }
}
