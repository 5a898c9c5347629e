//! The few requests to Twilio's REST API that setting up takes: form POST and JSON GET with basic authentication, API
//! version 2010-04-01. What to ask for is `plan`'s matter.

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use serde_json::Value;
use ureq::Agent;

use super::plan::{Pointed, TWIML_APP};

/// An account at Twilio.
pub(crate) struct Account {
    agent: Agent,
    base: String,
    authorization: String,
}

impl Account {
    /// `api` is `https://api.twilio.com`, or a stand-in's address.
    pub(crate) fn new(api: &str, sid: &str, auth_token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(30)))
            .build()
            .into();
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{sid}:{auth_token}"));
        Self { agent, base: format!("{api}/2010-04-01/Accounts/{sid}"), authorization: format!("Basic {basic}") }
    }

    /// The TwiML App of our name.
    pub(crate) fn twiml_app(&self) -> Result<Option<Pointed>> {
        let found = self.get("Applications.json", &[("FriendlyName", TWIML_APP)])?;
        Ok(first(&found, "applications"))
    }

    /// Creates our TwiML App and answers its sid.
    pub(crate) fn create_twiml_app(&self, public_url: &str) -> Result<String> {
        let form = [voice_form(public_url).as_slice(), &[("FriendlyName", TWIML_APP.to_owned())]].concat();
        sid(&self.post("Applications.json", &form)?)
    }

    /// Points a TwiML App at this deployment.
    pub(crate) fn point_twiml_app(&self, sid: &str, public_url: &str) -> Result<()> {
        self.post(&format!("Applications/{sid}.json"), &voice_form(public_url)).map(drop)
    }

    /// A number of the account.
    pub(crate) fn number(&self, number: &str) -> Result<Option<Pointed>> {
        let found = self.get("IncomingPhoneNumbers.json", &[("PhoneNumber", number)])?;
        Ok(first(&found, "incoming_phone_numbers"))
    }

    /// Buys a number that is for sale, pointed at this deployment from the start.
    pub(crate) fn buy_number(&self, number: &str, public_url: &str) -> Result<()> {
        let form = [voice_form(public_url).as_slice(), &[("PhoneNumber", number.to_owned())]].concat();
        self.post("IncomingPhoneNumbers.json", &form).map(drop)
    }

    /// Points a number at this deployment.
    pub(crate) fn point_number(&self, sid: &str, public_url: &str) -> Result<()> {
        // A number that is bound to an application or trunk would never ask our address.
        let free = [("VoiceApplicationSid", String::new()), ("TrunkSid", String::new())];
        let form = [voice_form(public_url).as_slice(), &free].concat();
        self.post(&format!("IncomingPhoneNumbers/{sid}.json"), &form).map(drop)
    }

    /// Creates an API key: its sid and its secret, which is never shown again.
    pub(crate) fn create_api_key(&self) -> Result<(String, String)> {
        let key = self.post("Keys.json", &[("FriendlyName", TWIML_APP.to_owned())])?;
        Ok((sid(&key)?, key["secret"].as_str().context("Twilio's answer holds no secret")?.to_owned()))
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let mut request = self.agent.get(format!("{}/{path}", self.base)).header("authorization", &self.authorization);
        for (name, value) in query {
            request = request.query(name, value);
        }
        answer(request.call().with_context(|| format!("asking Twilio for {path}"))?)
    }

    fn post(&self, path: &str, form: &[(&str, String)]) -> Result<Value> {
        let request = self.agent.post(format!("{}/{path}", self.base)).header("authorization", &self.authorization);
        let fields = form.iter().map(|(name, value)| (*name, value.as_str()));
        answer(request.send_form(fields).with_context(|| format!("sending {path} to Twilio"))?)
    }
}

/// Where calls, their failures and their end are reported.
fn voice_form(public_url: &str) -> [(&'static str, String); 6] {
    [
        ("VoiceUrl", super::plan::voice_url(public_url)),
        ("VoiceMethod", "POST".to_owned()),
        ("VoiceFallbackUrl", format!("{public_url}/voice/fallback")),
        ("VoiceFallbackMethod", "POST".to_owned()),
        ("StatusCallback", format!("{public_url}/api/calls/status")),
        ("StatusCallbackMethod", "POST".to_owned()),
    ]
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let text = response.body_mut().read_to_string().context("reading Twilio's answer")?;
    let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if response.status().is_success() {
        return Ok(json);
    }
    let (code, message) = (&json["code"], json["message"].as_str().unwrap_or("no message"));
    bail!("Twilio refuses with {} (code {code}): {message}", response.status())
}

fn first(list: &Value, name: &str) -> Option<Pointed> {
    let found = list[name].as_array()?.first()?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some(Pointed { sid: text("sid"), voice_url: text("voice_url") })
}

fn sid(answer: &Value) -> Result<String> {
    Ok(answer["sid"].as_str().context("Twilio's answer holds no sid")?.to_owned())
}

#[cfg(test)]
mod tests;
