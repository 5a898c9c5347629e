//! Calls and numbers as the REST interface writes them: JSON in snake case, numbers as strings, dates as RFC 2822, lists in
//! pages.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::super::call::Status;
use super::super::exchange::{Exchange, Number, Resource};
use super::super::twiml::{self, Target};
use super::Refusal;
use super::forms::Form;

pub(super) fn call(exchange: &Exchange, resource: &Resource) -> Value {
    let (leg, clock) = (&resource.leg, exchange.clock());
    let account = &leg.account_sid;
    let uri = format!("/2010-04-01/Accounts/{account}/Calls/{}", leg.sid);
    let numbers = exchange.numbers();
    let own = numbers.iter().find(|number| number.number == leg.to || number.number == leg.from);
    let sub = |name: &str| (name.to_owned(), Value::from(format!("{uri}/{}.json", camel(name))));
    let subresources: serde_json::Map<String, Value> = [
        "notifications",
        "recordings",
        "payments",
        "events",
        "siprec",
        "streams",
        "transcriptions",
        "user_defined_messages",
    ]
    .into_iter()
    .map(sub)
    .collect();
    json!({
        "sid": leg.sid,
        "account_sid": account,
        "api_version": "2010-04-01",
        // The interface has no `initiated`.
        "status": if resource.status == Status::Initiated { "queued" } else { resource.status.as_str() },
        "direction": leg.direction.as_str(),
        "to": leg.to,
        "to_formatted": leg.to,
        "from": leg.from,
        "from_formatted": leg.from,
        "phone_number_sid": own.map(|number| number.sid.clone()),
        "parent_call_sid": null,
        "answered_by": resource.answered_by,
        "start_time": resource.started.map(|at| clock.rfc2822(at)),
        "end_time": resource.ended.map(|at| clock.rfc2822(at)),
        "duration": resource.duration_s.map(|seconds| seconds.to_string()),
        "price": null,
        "price_unit": "USD",
        "forwarded_from": null,
        "caller_name": null,
        "group_sid": null,
        "trunk_sid": null,
        "queue_time": resource.queue.as_millis().to_string(),
        "date_created": clock.rfc2822(resource.created),
        "date_updated": clock.rfc2822(resource.updated),
        "uri": format!("{uri}.json"),
        "subresource_uris": subresources,
    })
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (head, tail) = word.split_at(1.min(word.len()));
            head.to_ascii_uppercase() + tail
        })
        .collect()
}

pub(super) fn call_page(exchange: &Exchange, lag: Duration, form: &Form, path: &str) -> Value {
    let clock = exchange.clock();
    let wanted = |resource: &Resource| {
        let same = |name: &str, value: &str| form.get(name).is_none_or(|asked| asked == value);
        let day = clock.day(resource.started.unwrap_or(resource.created));
        let status = if resource.status == Status::Initiated { "queued" } else { resource.status.as_str() };
        let bound = |name: &str| form.get(name).map(|asked| asked.get(..10).unwrap_or(asked).to_owned());
        same("To", &resource.leg.to)
            && same("From", &resource.leg.from)
            && same("Status", status)
            && form.get("ParentCallSid").is_none()
            && bound("StartTime").is_none_or(|asked| day == asked)
            && bound("StartTime>").is_none_or(|asked| day >= asked)
            && bound("StartTime<").is_none_or(|asked| day < asked)
    };
    let found: Vec<Value> =
        exchange.resources(lag).iter().filter(|resource| wanted(resource)).map(|r| call(exchange, r)).collect();
    page("calls", found, form, path)
}

fn page(plural: &str, all: Vec<Value>, form: &Form, path: &str) -> Value {
    let number = |name: &str, default: usize| form.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let size = number("PageSize", 50).clamp(1, 1000);
    let page = number("Page", 0);
    let start = page.saturating_mul(size).min(all.len());
    let end = (start + size).min(all.len());
    let at = |page: usize| format!("{path}?PageSize={size}&Page={page}&PageToken=PT{page}");
    let mut answer = json!({
        "page": page,
        "page_size": size,
        "start": start,
        "end": end.saturating_sub(1),
        "uri": at(page),
        "first_page_uri": at(0),
        "next_page_uri": (end < all.len()).then(|| at(page + 1)),
        "previous_page_uri": (page > 0).then(|| at(page - 1)),
    });
    answer[plural] = all.get(start..end).unwrap_or_default().into();
    answer
}

fn number_json(account: &str, number: &Number) -> Value {
    let url = |target: &Option<Target>| target.as_ref().map_or("", |target| target.url.as_str()).to_owned();
    let method = |target: &Option<Target>| target.as_ref().map_or("POST", |target| target.method.as_str()).to_owned();
    json!({
        "sid": number.sid,
        "account_sid": account,
        "phone_number": number.number,
        "friendly_name": number.number,
        "voice_url": url(&number.voice),
        "voice_method": method(&number.voice),
        "voice_fallback_url": url(&number.fallback),
        "voice_fallback_method": method(&number.fallback),
        "status_callback": url(&number.status_callback),
        "status_callback_method": method(&number.status_callback),
        "voice_application_sid": "",
        "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false},
        "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{}.json", number.sid),
    })
}

pub(super) fn number_page(exchange: &Exchange, form: &Form, path: &str) -> Value {
    let account = &exchange.account().sid;
    let numbers = exchange.numbers();
    let wanted = numbers.iter().filter(|number| form.get("PhoneNumber").is_none_or(|asked| asked == number.number));
    page("incoming_phone_numbers", wanted.map(|number| number_json(account, number)).collect(), form, path)
}

pub(super) fn number(exchange: &Exchange, sid: &str, method: &Method, form: &Form) -> Result<(u16, Value), Refusal> {
    let found = exchange.numbers().into_iter().find(|number| number.sid == sid);
    let mut number =
        found.ok_or_else(|| Refusal::new(404, 20404, format!("The requested resource {sid} was not found")))?;
    if *method == Method::POST {
        for (field, slot) in [
            ("VoiceUrl", &mut number.voice),
            ("VoiceFallbackUrl", &mut number.fallback),
            ("StatusCallback", &mut number.status_callback),
        ] {
            if let Some(url) = form.get(field) {
                let target = Target { url: url.to_owned(), method: twiml::Method::Post };
                *slot = (!url.is_empty()).then_some(target);
            }
        }
        exchange.set_number(number.clone());
    }
    Ok((200, number_json(&exchange.account().sid, &number)))
}
