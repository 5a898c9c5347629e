//! What the tools print, and what a person may mistype.

use std::collections::BTreeSet;

use super::plan::Wanted;
use super::{check, database_id, has_word, json, names};

#[test]
fn json_is_found_behind_a_tools_warnings() {
    let list = json("▲ a newer version is out\n[{\"name\":\"trunkline\",\"uuid\":\"5f8c\"}]\n").expect("JSON");
    assert_eq!(database_id(&list).as_deref(), Some("5f8c"));
    assert_eq!(names(&list, "name"), BTreeSet::from(["trunkline".to_owned()]));
    assert_eq!(database_id(&json("[{\"name\":\"other\",\"uuid\":\"1\"}]").expect("JSON")), None);
    json("nothing here").expect_err("no JSON");
}

#[test]
fn a_name_in_a_table_counts_only_when_it_is_whole() {
    let table = "│ id │ name                    │\n│ 1  │ trunkline-deliveries-dead │\n";
    assert!(has_word(table, "trunkline-deliveries-dead"));
    assert!(!has_word(table, "trunkline-deliveries"));
    assert!(has_word("name: trunkline-recordings\ncreation_date: x", "trunkline-recordings"));
}

#[test]
fn what_would_only_fail_after_a_deploy_is_refused_before() {
    let wanted = |public_url: &str, account: &str, number: &str, fly_app: &str| Wanted {
        public_url: public_url.into(),
        fly_app: fly_app.into(),
        account_sid: account.into(),
        number: number.into(),
        edge_given: BTreeSet::new(),
        node_given: BTreeSet::new(),
    };
    let (url, account, number, app) =
        ("https://line.example", "AC00000000000000000000000000000001", "+14155550100", "line-media");
    check(&wanted(url, account, number, app)).expect("all right");
    for bad in ["http://line.example", "https://localhost", "https://line.example/path", "https://"] {
        check(&wanted(bad, account, number, app)).expect_err(bad);
    }
    check(&wanted(url, "AC1", number, app)).expect_err("a short account");
    check(&wanted(url, account, "415 555 0100", app)).expect_err("a national number");
    check(&wanted(url, account, number, "Line Media")).expect_err("a name with a space");
}
