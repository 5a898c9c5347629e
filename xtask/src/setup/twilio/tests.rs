//! Against a listener that answers once with a document of Twilio's shape and hands over what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::Account;
use crate::setup::plan::Pointed;

const SID: &str = "AC00000000000000000000000000000001";

/// Answers one request; gives the request line with its body.
fn stand_in(status: &'static str, body: &'static str) -> (Account, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let api = format!("http://{}", listener.local_addr().expect("its address"));
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut reader = BufReader::new(stream.try_clone().expect("a reader"));
        let mut request_line = String::new();
        reader.read_line(&mut request_line).expect("a request");
        let (mut length, mut authorized) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            let header = header.trim().to_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            authorized |= header.starts_with("authorization: basic ");
            if header.is_empty() {
                break;
            }
        }
        assert!(authorized);
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).expect("a body");
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            .expect("answered");
        (request_line.trim().to_owned(), String::from_utf8(sent).expect("a form"))
    });
    (Account::new(&api, SID, "token"), served)
}

#[test]
fn a_number_is_found_with_where_it_points() {
    let (account, served) = stand_in(
        "200 OK",
        r#"{"incoming_phone_numbers":[{"sid":"PN1","phone_number":"+14155550100","voice_url":"https://old.example/"}]}"#,
    );
    let found = account.number("+14155550100").expect("an answer");
    assert_eq!(found, Some(Pointed { sid: "PN1".into(), voice_url: "https://old.example/".into() }));
    let (line, _) = served.join().expect("served");
    assert_eq!(
        line,
        format!("GET /2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json?PhoneNumber=%2B14155550100 HTTP/1.1")
    );
}

#[test]
fn a_number_that_the_account_does_not_have_is_none() {
    let (account, served) = stand_in("200 OK", r#"{"incoming_phone_numbers":[]}"#);
    assert_eq!(account.number("+14155550100").expect("an answer"), None);
    served.join().expect("served");
}

#[test]
fn a_number_is_pointed_at_all_our_addresses_and_freed_of_others() {
    let (account, served) = stand_in("200 OK", r#"{"sid":"PN1"}"#);
    account.point_number("PN1", "https://line.example").expect("done");
    let (line, form) = served.join().expect("served");
    assert_eq!(line, format!("POST /2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/PN1.json HTTP/1.1"));
    for field in [
        "VoiceUrl=https%3A%2F%2Fline.example%2Fvoice&",
        "VoiceFallbackUrl=https%3A%2F%2Fline.example%2Fvoice%2Ffallback",
        "StatusCallback=https%3A%2F%2Fline.example%2Fapi%2Fcalls%2Fstatus",
        "VoiceApplicationSid=&",
    ] {
        assert!(form.contains(field), "{form}");
    }
}

#[test]
fn a_key_comes_with_its_secret() {
    let (account, served) = stand_in("201 CREATED", r#"{"sid":"SK1","secret":"shh"}"#);
    assert_eq!(account.create_api_key().expect("a key"), ("SK1".to_owned(), "shh".to_owned()));
    served.join().expect("served");
}

#[test]
fn a_refusal_is_told_in_twilios_words() {
    let (account, served) = stand_in("401 UNAUTHORIZED", r#"{"code":20003,"message":"Authenticate","status":401}"#);
    let error = account.twiml_app().expect_err("refused").to_string();
    assert!(error.contains("20003") && error.contains("Authenticate"), "{error}");
    served.join().expect("served");
}
