use super::*;
use crate::twilio::webhook::Form;

const TOKEN: &str = "ffeeddccbbaa99887766554433221100";
const CB: &str = "https://voice.example.com/cb";

/// The reference's vectors: name, URL, raw form body, signature. Computed with the official Node helper.
const VECTORS: &[(&str, &str, &str, &str)] = &[
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
        CB,
        "MediaUrl=https%3A%2F%2Fb.example%2F2&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fb.example%2F2&Body=hi",
        "Fu40N/uPopWkWct3yOrE0e6Vmgs=",
    ),
    ("S5", CB, "CallSid=CA00000000000000000000000000000001&FromCity=&ToZip=&Digits=", "dlLn5DhnnFvfg4G/rxU95MXQyKw="),
    (
        "S6",
        CB,
        "CallerName=Zo%C3%AB+%F0%9F%9A%80+%26+Co&SpeechResult=one+%2B+one+%3D+two+&From=%2B14155550100",
        "AlhIIUtf6gg06MdKjcGmo444dK0=",
    ),
    ("S7", CB, "1=6&b=1&A=2&a=3&B=4&_=5&From=x&FromCity=y", "tiPWYkcyEiwW4pLUY5PvoYrCsaw="),
    ("S8", CB, "a=1", "jbDDYwc6xVWtTT7GrzFVYVfk9Rw="),
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

fn pairs(body: &str) -> Vec<(String, String)> {
    Form::decode(body.as_bytes()).unwrap()
}
fn borrow(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
}
fn keys() -> Keys {
    Keys {
        tokens: vec![Secret::new("an older token"), Secret::new(TOKEN)],
        shared: vec![SharedKey { id: "WK1".into(), secret: Secret::new(TOKEN) }],
    }
}
fn vector(name: &str) -> (&'static str, Vec<(String, String)>, &'static str) {
    let (_, url, body, signature) = VECTORS.iter().find(|v| v.0 == name).unwrap();
    (url, pairs(body), signature)
}
fn accepts(signature: &str, url: &str, params: &[(String, String)]) -> bool {
    keys().verify(Signed { url, signature: Some(signature), settings: None }, &borrow(params)).is_ok()
}

#[test]
fn every_vector_is_computed_and_accepted() {
    for (name, url, body, signature) in VECTORS {
        let params = pairs(body);
        assert_eq!(sign(TOKEN.as_bytes(), Algorithm::HmacSha1, url, &borrow(&params)), *signature, "{name}");
        assert!(accepts(signature, url, &params), "{name}");
    }
    let documentation = [
        ("Digits", "1234"),
        ("To", "+18005551212"),
        ("From", "+14158675310"),
        ("Caller", "+14158675310"),
        ("CallSid", "CA1234567890ABCDE"),
    ];
    assert_eq!(
        sign(b"12345", Algorithm::HmacSha1, "https://example.com/myapp.php?foo=1&bar=2", &documentation),
        "L/OH5YylLD5NRKLltdqwSvS0BnU="
    );
}

#[test]
fn shared_keys_with_either_hash() {
    let (url, params, sha1) = vector("S1");
    let sha256 = "cwUvztEJ/93PKOwNYjU/eW1plSx4gmmYESG9bSUCvJY=";
    assert_eq!(sign(TOKEN.as_bytes(), Algorithm::HmacSha256, url, &borrow(&params)), sha256);
    let check = |signature, settings| {
        keys().verify(Signed { url, signature: Some(signature), settings: Some(settings) }, &borrow(&params))
    };
    assert_eq!(check(sha256, "key=WK1,algorithm=HMAC_SHA256"), Ok(()));
    assert_eq!(check(sha1, "key=WK1,algorithm=HMAC_SHA1"), Ok(()));
    assert_eq!(check(sha1, "key=WK1"), Ok(()));
    assert_eq!(check(sha256, "key=WK1"), Err(Refused::Mismatch));
    assert_eq!(check(sha1, "key=WK2"), Err(Refused::Mismatch));
    assert_eq!(check(sha256, "key=WK1,algorithm=HMAC_MD5"), Err(Refused::Settings));
    assert_eq!(check(sha256, "algorithm=HMAC_SHA256"), Err(Refused::Settings));
    assert_eq!(check(sha1, ""), Ok(()), "an empty header means none");
    let (url, _, _) = vector("S13");
    let upgrade = "3e5PFCPzEnE+9s5R1Lx0IGCeCDPCTU2qvtadervIp8Q=";
    let settings = Some("key=WK1,algorithm=HMAC_SHA256");
    assert_eq!(keys().verify_upgrade(Signed { url, signature: Some(upgrade), settings }), Ok(()));
}

#[test]
fn the_official_helpers_acceptance_checks() {
    let (_, a1, s8) = vector("S8");
    let (s9, s11) = (vector("S9").2, vector("S11").2);
    assert!(accepts(s8, "https://voice.example.com:8443/cb", &a1));
    assert!(accepts(s9, "https://voice.example.com:8443/cb", &a1));
    assert!(!accepts(s9, CB, &a1));
    assert!(accepts(s11, CB, &a1));
    let (s13, s14, s16, s17) = (vector("S13").2, vector("S14").2, vector("S16").2, vector("S17").2);
    assert!(!accepts(s13, "wss://voice.example.com/media/", &[]));
    assert!(!accepts(s14, "wss://voice.example.com/media", &[]));
    assert!(!accepts(s17, "wss://voice.example.com/media", &[]));
    assert!(accepts(s16, "wss://voice.example.com", &[]));
    let port =
        |port: &str| sign(TOKEN.as_bytes(), Algorithm::HmacSha1, &format!("wss://voice.example.com:{port}/media"), &[]);
    assert!(!accepts(&port("443"), "wss://voice.example.com/media", &[]));
    assert!(accepts(&port("80"), "wss://voice.example.com/media", &[]));
    assert!(!accepts(s8, "https://voice.example.com/cb#rc=2", &a1));
    assert!(!accepts(s8, "https://user:pw@voice.example.com/cb", &a1));
    let (url, _, s12) = vector("S12");
    let body = "{\"CallSid\":\"CA00000000000000000000000000000001\",\"note\":\"café ☕\"}";
    let signed = Signed { url, signature: Some(s12), settings: None };
    assert_eq!(keys().verify_json(signed, body.as_bytes()), Ok(()));
    assert_eq!(keys().verify_json(signed, format!("{body} ").as_bytes()), Err(Refused::Body));
    let (url, mut params, s6) = vector("S6");
    for (_, value) in &mut params {
        *value = value.trim().to_owned();
    }
    assert!(!accepts(s6, url, &params));
    // An apostrophe that the sender escaped, and one that it did not.
    assert!(accepts(vector("S19").2, vector("S18").0, &a1));
    // One that was signed raw and that a runtime's parser has escaped since.
    assert!(accepts(vector("S18").2, vector("S19").0, &a1));
    assert!(!accepts(vector("S18").2, "https://voice.example.com/cb?name=O%22Brien", &a1));
}

#[test]
fn upgrades_bear_a_slash_and_a_port() {
    let upgrade =
        |signature: &str, url: &str| keys().verify_upgrade(Signed { url, signature: Some(signature), settings: None });
    let (bare, slash) = ("wss://voice.example.com/media", "wss://voice.example.com/media/");
    for signature in [vector("S13").2, vector("S14").2] {
        assert_eq!(upgrade(signature, bare), Ok(()));
        assert_eq!(upgrade(signature, slash), Ok(()));
        assert_eq!(upgrade(signature, "wss://voice.example.com/other"), Err(Refused::Mismatch));
    }
    for port in ["443", "80"] {
        let signature =
            sign(TOKEN.as_bytes(), Algorithm::HmacSha1, &format!("wss://voice.example.com:{port}/media"), &[]);
        assert_eq!(upgrade(&signature, bare), Ok(()), "{port}");
    }
    assert_eq!(upgrade(vector("S17").2, bare), Err(Refused::Mismatch));
    assert_eq!(keys().verify_upgrade(Signed { url: bare, signature: None, settings: None }), Err(Refused::Missing));
}

#[test]
fn a_rotation_accepts_both_tokens_and_then_one() {
    let (url, params, s1) = vector("S1");
    let signed = Signed { url, signature: Some(s1), settings: None };
    let mut keys = keys();
    assert_eq!(keys.verify(signed, &borrow(&params)), Ok(()));
    keys.tokens.pop();
    assert_eq!(keys.verify(signed, &borrow(&params)), Err(Refused::Mismatch));
    keys.tokens.clear();
    assert_eq!(keys.verify(signed, &borrow(&params)), Err(Refused::Mismatch));
}

proptest::proptest! {
    #[test]
    fn any_url_and_any_form_sign_without_fault(url in ".{0,80}", names in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
        let params: Vec<(&str, &str)> = names.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let signature = sign(TOKEN.as_bytes(), Algorithm::HmacSha1, &url, &params);
        proptest::prop_assert_eq!(signature.len(), 28);
        let _ = keys().verify_upgrade(Signed { url: &url, signature: Some(&signature), settings: None });
        let with = with_port(&url, ":1").unwrap_or_default();
        if !with.is_empty() { proptest::prop_assert_eq!(without_port(&with), url); }
    }
}
