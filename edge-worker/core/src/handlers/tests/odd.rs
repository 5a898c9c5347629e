use super::*;
use crate::route::TABLE;
use crate::security;
use proptest::prelude::*;

fn request() -> impl Strategy<Value = Request> {
    let entry = 0..TABLE.len();
    let target = prop_oneof![
        3 => entry.clone().prop_map(|n| TABLE[n].pattern.replace("{call}", "CA00000000000000000000000000000001").replace(['{', '}'], "")),
        1 => "[/a-z%{}.?=&0-9]{0,40}",
    ];
    let value = prop_oneof![
        "\\PC{0,40}",
        Just("application/json".to_owned()),
        Just("application/x-www-form-urlencoded".to_owned()),
        Just("websocket".to_owned()),
        Just("Bearer tl_live_000000000000000000000000000000000000".to_owned()),
        Just("__Host-sid=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    ];
    let name = prop_oneof![
        Just("content-type"),
        Just("authorization"),
        Just("cookie"),
        Just("origin"),
        Just("upgrade"),
        Just("x-twilio-signature"),
        Just("x-trunkline-node"),
        Just("x-trunkline-time"),
        Just("idempotency-key"),
        Just("last-event-id"),
        Just("accept"),
        Just("x-csrf-token"),
        Just("sec-fetch-site"),
    ];
    let headers = proptest::collection::vec((name.prop_map(str::to_owned), value), 0..5);
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        Just(b"{\"to\":\"+15550100123\"}".to_vec()),
        Just(br#"{"token":"x","email":"a@b","password":"correct horse battery"}"#.to_vec()),
        Just(b"[".repeat(5000)),
        Just(br#"{"a":"\ud800"}"#.to_vec()),
        Just(b"AccountSid=AC00000000000000000000000000000001&CallSid=CA00000000000000000000000000000001".to_vec()),
    ];
    let query = proptest::option::of(prop_oneof![
        "[a-zA-Z]{1,8}=\\PC{0,20}",
        Just("call=call_1".to_owned()),
        Just("limit=5".to_owned())
    ]);
    (entry, target, query, headers, body).prop_map(|(n, path, query, headers, body)| Request {
        method: TABLE[n].method,
        path,
        query,
        headers,
        body,
        ip: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_too_odd(request in request()) {
        thread_local! {
            static DEPLOYMENT: Deployment = Deployment::with_node();
        }
        DEPLOYMENT.with(|deployment| {
            if let Reply::Respond(response) = deployment.reply(request) {
                assert!(response.status < 500, "{}", text(&response));
                assert!(response.status >= 400 || matches!(response.status, 200 | 204));
                assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
                assert_eq!(response.headers.iter().filter(|(n, _)| *n == security::ALWAYS[0].0).count(), 1);
            }
            assert_eq!(deployment.world.room_count(), 0, "nobody may open a room");
            assert_eq!(deployment.world.asked().twilio, 0);
        });
    }
}
