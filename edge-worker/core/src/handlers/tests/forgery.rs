use super::*;
use crate::route::{Principal, TABLE};
use crate::testing::{ACCOUNT, SECOND_TOKEN, TOKEN, signed_with};
use shared::twilio::signature::{Algorithm, sign};

/// Fields that every Twilio route can read something from.
fn fields() -> Vec<(&'static str, String)> {
    let mut fields = inbound_fields(&call_sid(1));
    fields.push(("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".into()));
    fields
}

fn targets() -> Vec<(&'static str, String)> {
    let call = shared::ids::CallId::derived([7; 16]);
    TABLE
        .iter()
        .filter(|e| e.principal == Principal::Twilio && e.method == Method::Post)
        .map(|e| (e.pattern, format!("{}?call={call}&epoch=1", e.pattern)))
        .collect()
}

/// Nothing inside was asked, and the answer is a refusal.
fn refused(deployment: &Deployment, request: Request, what: &str) {
    let before = deployment.world.asked();
    let response = deployment.send(request);
    assert!(matches!(response.status, 400 | 403 | 404 | 405 | 413 | 415), "{what}: {}", response.status);
    assert!(!text(&response).contains("<Response"), "{what}");
    assert_eq!(deployment.world.asked(), before, "{what} woke something");
}

/// Twilio's own, and odd: it is answered in Twilio's language, nothing inside was asked, and somebody is told.
fn harmless(deployment: &Deployment, request: Request, what: &str) {
    let (before, told) = (deployment.world.asked(), deployment.world.journal().len());
    let response = deployment.send(request);
    if response.status == 204 {
        assert!(response.body.is_empty(), "{what}");
    } else {
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some("text/xml; charset=utf-8")),
            "{what}"
        );
        let twiml = text(&response);
        assert!(
            twiml.contains("We are sorry") && !twiml.contains("ticket") && !twiml.contains("<Dial"),
            "{what}: {twiml}"
        );
    }
    assert_eq!(deployment.world.asked(), before, "{what} woke something");
    assert!(deployment.world.journal().len() > told, "{what} is not in the journal");
}

#[test]
fn no_forged_request_wakes_anything() {
    let deployment = Deployment::with_node();
    let fields = fields();
    let fields = borrowed(&fields);
    let mut mutants = 0u32;
    for (pattern, target) in targets() {
        let genuine = twilio_post(&target, &fields);
        let mut check = |request: Request, what: String| {
            mutants += 1;
            refused(&deployment, request, &what);
        };
        let signature = genuine.header("x-twilio-signature").unwrap().to_owned();
        let with_signature = |text: String| {
            let mut request = genuine.clone();
            request.headers.retain(|(n, _)| n != "x-twilio-signature");
            request.headers.push(("x-twilio-signature".into(), text));
            request
        };
        // Every bit of the signature, its case, its length, two of them, none.
        for position in 0..signature.len() {
            for bit in 0..7 {
                let mut bytes = signature.clone().into_bytes();
                bytes[position] ^= 1 << bit;
                check(with_signature(String::from_utf8(bytes).unwrap()), format!("{pattern} bit {position}.{bit}"));
            }
        }
        check(with_signature(signature.to_lowercase()), format!("{pattern} lower case"));
        check(with_signature(signature[1..].to_owned()), format!("{pattern} shorter"));
        check(with_signature(String::new()), format!("{pattern} empty"));
        check(with_signature(format!("{signature} ")), format!("{pattern} longer"));
        let mut none = genuine.clone();
        none.headers.retain(|(n, _)| n != "x-twilio-signature");
        check(none, format!("{pattern} no signature"));
        let mut twice = genuine.clone();
        twice.headers.push(("x-twilio-signature".into(), signature.clone()));
        check(twice, format!("{pattern} two signatures"));
        // Every field: another value, another name, absent, twice.
        for n in 0..fields.len() {
            for change in 0..4 {
                let mut changed: Vec<(String, String)> =
                    fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
                match change {
                    0 => changed[n].1.push('1'),
                    1 => changed[n].0.push('x'),
                    2 => drop(changed.remove(n)),
                    _ => {
                        let other = (changed[n].0.clone(), "other".to_owned());
                        changed.push(other);
                    }
                }
                // Leaving out an empty field's value changes nothing that is signed but its name.
                let mut request = genuine.clone();
                request.body =
                    form_urlencoded::Serializer::new(String::new()).extend_pairs(&changed).finish().into_bytes();
                check(request, format!("{pattern} field {n} change {change}"));
            }
        }
        // Every bit of the body.
        for position in 0..genuine.body.len() {
            let mut request = genuine.clone();
            request.body[position] ^= 1;
            check(request, format!("{pattern} body {position}"));
        }
        // The address: every letter of the query, another route, another case, a slash more.
        let query = genuine.query.clone().unwrap();
        for position in 0..query.len() {
            let mut bytes = query.clone().into_bytes();
            bytes[position] ^= 1;
            let mut request = genuine.clone();
            request.query = String::from_utf8(bytes).ok();
            check(request, format!("{pattern} query {position}"));
        }
        for (other, _) in targets() {
            if other != pattern {
                let mut request = genuine.clone();
                request.path = other.to_owned();
                check(request, format!("{pattern} sent to {other}"));
            }
        }
        let mut without = genuine.clone();
        without.query = None;
        check(without, format!("{pattern} no query"));
        for path in [format!("{pattern}/"), format!("/{pattern}"), pattern.to_uppercase(), format!("{pattern}%20")] {
            let mut request = genuine.clone();
            request.path = path;
            check(request, format!("{pattern} another path"));
        }
        // Signed by somebody else, by a retired token, for another host; headers of a proxy count for nothing.
        for token in ["", "0", "ffeeddccbbaa99887766554433221101"] {
            check(signed_with(token, &target, &fields), format!("{pattern} another token"));
        }
        for url in
            [format!("https://evil.example.com{target}"), format!("http://voice.example.com{target}"), target.clone()]
        {
            let mut request = with_signature(sign(TOKEN.as_bytes(), Algorithm::HmacSha1, &url, &fields));
            request.headers.push(("host".into(), "evil.example.com".into()));
            request.headers.push(("x-forwarded-host".into(), "evil.example.com".into()));
            request.headers.push(("x-forwarded-proto".into(), "http".into()));
            check(request, format!("{pattern} signed for {url}"));
        }
        // An algorithm or a key that is not ours.
        for settings in ["key=KEY1", "key=KEY2,algorithm=HMAC_SHA1", "key=KEY1,algorithm=NONE", "algorithm=HMAC_SHA256"]
        {
            let mut request = genuine.clone();
            request.headers.push(("x-twilio-webhooks-signature-settings".into(), settings.into()));
            check(request, format!("{pattern} settings {settings}"));
        }
    }
    assert!(mutants >= 11 * 500, "{mutants}");
    let journal = format!("{:?}", deployment.world.journal());
    for private in [CALLER, OURS, TOKEN, "Parameter"] {
        assert!(!journal.contains(private), "{private} is in the journal");
    }
}

#[test]
fn both_tokens_and_the_shared_key_sign() {
    let fields = fields();
    let fields = borrowed(&fields);
    for token in [TOKEN, SECOND_TOKEN] {
        let deployment = Deployment::with_node();
        assert_eq!(deployment.send(signed_with(token, "/voice", &fields)).status, 200);
    }
    for (settings, algorithm) in
        [("key=KEY1,algorithm=HMAC_SHA256", Algorithm::HmacSha256), ("key=KEY1", Algorithm::HmacSha1)]
    {
        let deployment = Deployment::with_node();
        let mut request = twilio_post("/voice", &fields);
        request.headers.retain(|(n, _)| n != "x-twilio-signature");
        let url = format!("{BASE}/voice");
        let signature = sign(b"shared-secret-of-the-tests", algorithm, &url, &fields);
        request.headers.push(("x-twilio-signature".into(), signature));
        request.headers.push(("x-twilio-webhooks-signature-settings".into(), settings.into()));
        assert_eq!(deployment.send(request).status, 200, "{settings}");
    }
}

#[test]
fn the_signed_but_odd_changes_nothing_either() {
    let deployment = Deployment::with_node();
    let signed = |target: &str, fields: &[(&str, &str)]| twilio_post(target, fields);
    let owned = fields();
    let good = borrowed(&owned);
    let change = |name: &str, value: &'static str| -> Vec<(&str, &str)> {
        good.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect()
    };
    let without = |name: &str| -> Vec<(&str, &str)> { good.iter().filter(|(n, _)| *n != name).copied().collect() };
    let twice = |name: &'static str| -> Vec<(&str, &str)> {
        let mut fields = good.clone();
        fields.push((name, "again"));
        fields
    };
    let voice_cases = [
        ("foreign account", change("AccountSid", "AC00000000000000000000000000000002")),
        ("bad account", change("AccountSid", "AC1")),
        ("no account", without("AccountSid")),
        ("bad call", change("CallSid", "CA0000000000000000000000000000000g")),
        ("no call", without("CallSid")),
        ("from twice", twice("From")),
        ("unknown twice", twice("FromCity")),
    ];
    for (what, fields) in &voice_cases {
        refused(&deployment, signed("/voice", fields), what);
        refused(&deployment, signed("/api/calls/status", fields), what);
    }
    for (what, fields) in [
        ("bad status", change("CallStatus", "dancing ")),
        ("no status", without("CallStatus")),
        ("bad direction", change("Direction", "")),
        ("no from", without("From")),
        ("no to", without("To")),
        ("our own call without its name", change("Direction", "outbound-api")),
        ("a dialled leg without its name", change("Direction", "outbound-dial")),
        ("another of ours without its name", change("Direction", "outbound-newly")),
    ] {
        harmless(&deployment, signed("/voice", &fields), what);
    }
    harmless(&deployment, signed("/api/calls/status", &change("CallStatus", "dancing")), "unknown status");
    for target in ["/voice?call=call_1", "/voice?call=", "/voice?call=../x", "/api/calls/status?call=CA1"] {
        refused(&deployment, signed(target, &good), target);
    }
    let call = shared::ids::CallId::derived([7; 16]);
    for target in [
        format!("/voice/after-stream?call={call}"),
        format!("/voice/after-stream?call={call}&epoch=x"),
        "/voice/after-stream?epoch=1".to_owned(),
    ] {
        harmless(&deployment, signed(&target, &good), &target);
    }
    // A body in another form, too long, or unreadable.
    let mut json = signed("/voice", &good);
    json.headers[0].1 = "application/json".into();
    refused(&deployment, json, "json");
    let long = "x".repeat(64 * 1024);
    let mut fields = good.clone();
    fields.push(("More", &long));
    let request = signed("/voice", &fields);
    let response = deployment.send(request.clone());
    assert_eq!(response.status, 413);
    refused(&deployment, request, "too long");
    for body in ["a", "=b", "a=%zz", "a=%ff", "a=1&&b=2"] {
        let mut request = signed("/voice", &good);
        request.body = body.as_bytes().to_vec();
        refused(&deployment, request, body);
    }
    assert_eq!(deployment.world.room_count(), 0);
}

#[test]
fn a_signed_text_cut_into_other_fields_has_no_other_effect() {
    // The signature has no delimiters: every way to cut the same text into fields carries a valid signature.
    let deployment = Deployment::with_node();
    let owned = [
        ("AccountSid", ACCOUNT.to_owned()),
        ("CallSid", call_sid(1).to_string()),
        ("CallStatus", "ringing".to_owned()),
        ("Direction", "inbound".to_owned()),
        ("From", CALLER.to_owned()),
        ("To", OURS.to_owned()),
    ];
    let genuine = borrowed(&owned);
    let genuine_answer = text(&deployment.send(twilio_post("/voice", &genuine)));
    let rooms = deployment.world.room_count();
    let signature = twilio_post("/voice", &genuine).header("x-twilio-signature").unwrap().to_owned();
    let data: String = genuine.iter().flat_map(|(n, v)| [*n, *v]).collect();
    let mut variants = 0;
    let mut try_fields = |fields: &[(&str, &str)], path: &str| {
        // Only what is sorted as Twilio sorts it gives the same data.
        let mut sorted = fields.to_vec();
        sorted.sort_unstable();
        let cut: String = sorted.iter().flat_map(|(n, v)| [*n, *v]).collect();
        if format!("/voice{data}") != format!("{path}{cut}") {
            return;
        }
        variants += 1;
        let mut request = twilio_post("/voice", fields);
        request.path = path.to_owned();
        request.headers.retain(|(n, _)| n != "x-twilio-signature");
        request.headers.push(("x-twilio-signature".into(), signature.clone()));
        let response = deployment.send(request);
        let same = text(&response) == genuine_answer;
        let said = text(&response);
        let harmless = said.contains("We are sorry") && !said.contains("ticket") && !said.contains("<Dial");
        assert!(same || harmless || matches!(response.status, 400 | 403 | 404), "{fields:?}");
        assert_eq!(deployment.world.room_count(), rooms, "{fields:?} opened another call");
    };
    // Two neighbouring fields merged into one, and every field cut at every place.
    for n in 0..genuine.len() {
        for end in n + 1..=genuine.len() {
            let merged: String = genuine[n..end].iter().flat_map(|(name, v)| [*name, *v]).collect();
            for cut in 0..=merged.len() {
                let (name, value) = merged.split_at(cut);
                let mut fields: Vec<(&str, &str)> = genuine[..n].to_vec();
                fields.push((name, value));
                fields.extend_from_slice(&genuine[end..]);
                try_fields(&fields, "/voice");
                // And the beginning of it moved into the address.
                if n == 0 {
                    let moved = format!("/voice{name}");
                    for inner in 0..=value.len() {
                        let (name, value) = value.split_at(inner);
                        let mut fields = vec![(name, value)];
                        fields.extend_from_slice(&genuine[end..]);
                        try_fields(&fields, &moved);
                    }
                }
            }
        }
    }
    assert!(variants > 1_000, "{variants}");
}

#[test]
fn a_copy_whose_address_became_a_field_is_refused() {
    let deployment = Deployment::with_node();
    let call = shared::ids::CallId::derived([7; 16]);
    let mut owned = inbound_fields(&call_sid(1));
    for (name, value) in &mut owned {
        if *name == "Direction" {
            *value = "outbound-api".to_owned();
        }
    }
    let genuine = borrowed(&owned);
    for (address, path) in [
        (format!("/voice?call={call}"), "/voice"),
        (format!("/voice/after-stream?call={call}&epoch=1"), "/voice"),
        (format!("/voice/after-stream?call={call}&epoch=1"), "/voice/after-stream"),
        (format!("/voice/fallback?call={call}"), "/voice"),
        (format!("/voice/fallback?call={call}"), "/voice/fallback"),
        (format!("/api/calls/status?call={call}"), "/api/calls/status"),
    ] {
        let moved = address.strip_prefix(path).unwrap();
        let original = twilio_post(&address, &genuine);
        // Every place at which what was moved can be cut into a name and a value.
        for cut in 1..=moved.len() {
            let (name, value) = moved.split_at(cut);
            let mut fields = vec![(name, value)];
            fields.extend_from_slice(&genuine);
            let mut copy = twilio_post(path, &fields);
            let signature = original.header("x-twilio-signature").unwrap().to_owned();
            assert_eq!(copy.header("x-twilio-signature"), Some(signature.as_str()), "the signature does match");
            copy.headers.retain(|(n, _)| n != "x-twilio-signature");
            copy.headers.push(("x-twilio-signature".into(), signature));
            refused(&deployment, copy, &format!("{address} cut at {cut}"));
        }
    }
    assert_eq!(deployment.world.room_count(), 0);
}

#[test]
fn nothing_at_all_is_asked_by_what_has_no_address() {
    let deployment = Deployment::new();
    for (method, target, status) in [
        (Method::Get, "/", 404),
        (Method::Post, "/voice/../voice", 404),
        (Method::Post, "//voice", 404),
        (Method::Put, "/voice", 405),
        (Method::Other, "/health", 405),
        (Method::Get, "/api/calls/status", 405),
        (Method::Get, "/webhooks/elevenlabs", 404),
    ] {
        let response = deployment.send(Request::new(method, target));
        assert_eq!(response.status, status, "{target}");
        assert_eq!(response.header("allow").is_some(), status == 405);
    }
    assert_eq!(deployment.world.asked(), Asked::default());
}
