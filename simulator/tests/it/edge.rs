//! A tiny deployment that answers as a test says: pages by path, and a media server that returns what it hears. It checks
//! signatures, counts what arrives and knows nothing of the product.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use simulator::twilio::signature::sign;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

pub(crate) const TOKEN: &str = "ffeeddccbbaa99887766554433221100";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// A webhook that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) path: String,
    pub(crate) form: HashMap<String, String>,
    pub(crate) token: String,
    pub(crate) signed: bool,
}

impl Hook {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

/// What a path answers, one after the other; the last stays.
type Pages = HashMap<String, Vec<(u16, String)>>;

struct Office {
    origin: String,
    pages: Mutex<Pages>,
    hooks: watch::Sender<Vec<Hook>>,
}

pub(crate) struct Edge {
    pub(crate) url: String,
    office: Arc<Office>,
    media: SocketAddr,
    hooks: watch::Receiver<Vec<Hook>>,
}

impl Edge {
    /// `frames` is after how many frames the media server closes the stream; none: it leaves that to Twilio.
    pub(crate) async fn open(frames: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, hooks) = watch::channel(Vec::new());
        let office = Arc::new(Office { origin: url.clone(), pages: Mutex::default(), hooks: sender });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&office));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let media = streams.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = streams.accept().await {
                tokio::spawn(returns_what_it_hears(stream, frames));
            }
        });
        Self { url, office, media, hooks }
    }

    /// Lets a path answer TwiML; several answers are given in turn.
    pub(crate) fn twiml(&self, path: &str, inner: &str) {
        self.page(path, 200, &format!("<Response>{inner}</Response>"));
    }

    pub(crate) fn page(&self, path: &str, status: u16, body: &str) {
        self.office.pages.lock().unwrap().entry(path.to_owned()).or_default().push((status, body.to_owned()));
    }

    pub(crate) fn stream(&self) -> String {
        format!(
            r#"<Connect action="/after"><Stream url="ws://{}/media" statusCallback="{}/stream"><Parameter name="ticket" value="t"/></Stream></Connect>"#,
            self.media, self.url
        )
    }

    pub(crate) fn hooks(&self) -> Vec<Hook> {
        self.hooks.borrow().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.hooks().into_iter().map(|hook| hook.path).collect()
    }

    /// Waits until a webhook of which this holds has arrived.
    pub(crate) async fn arrived(&mut self, mut fact: impl FnMut(&Hook) -> bool) -> Hook {
        let hooks = self.hooks.wait_for(|hooks| hooks.iter().any(&mut fact)).await.unwrap().clone();
        hooks.into_iter().find(fact).unwrap()
    }
}

async fn answer(
    State(office): State<Arc<Office>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let url = format!("{}{uri}", office.origin);
    let signed = header("x-twilio-signature") == sign(TOKEN, &url, if method == Method::POST { &fields } else { &[] });
    let path = uri.path().to_owned();
    let hook = Hook {
        path: path.clone(),
        form: fields.into_iter().collect(),
        token: header("i-twilio-idempotency-token"),
        signed,
    };
    office.hooks.send_modify(|hooks| hooks.push(hook));
    let page = {
        let mut pages = office.pages.lock().unwrap();
        match pages.get_mut(&path) {
            Some(answers) if answers.len() > 1 => Some(answers.remove(0)),
            Some(answers) => answers.first().cloned(),
            None => None,
        }
    };
    match page {
        Some((status, body)) => {
            (StatusCode::from_u16(status).unwrap(), [("content-type", "text/xml")], body).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn returns_what_it_hears(stream: tokio::net::TcpStream, frames: Option<usize>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut heard = 0;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        match message["event"].as_str() {
            Some("media") => {
                heard += 1;
                let back = json!({"event": "media", "streamSid": message["streamSid"], "media": {"payload": message["media"]["payload"]}});
                let _ = socket.send(Message::text(back.to_string())).await;
                if frames.is_some_and(|frames| heard >= frames) {
                    let _ = socket.close(None).await;
                    return;
                }
            }
            Some("stop") | None => return,
            Some(_) => {}
        }
    }
}
