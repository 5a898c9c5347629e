use crate::http::{Method, Reply, Request, Response, Upgrade};
use crate::testing::{
    BASE, CALLER, NODE_SECRET, OURS, SETUP, attribute, borrowed, call_sid, inbound_fields, number, response, target_of,
    text, twilio_post, world,
};
use crate::twin::{Asked, Faults, World};
use futures::executor::block_on;
use serde_json::{Value, json};
use shared::ids::NodeId;
use shared::node_api::{HEARTBEAT_PATH, Heartbeat};
use shared::node_auth;
use shared::secret::Secret;
use shared::time::UnixMillis;

mod access;
mod configuration;
mod forgery;
mod nodes;
mod odd;
mod placing;
mod reading;
mod voice;
mod walk;

/// A deployment with people at it.
struct Deployment {
    world: World,
    beats: std::cell::Cell<u64>,
}

/// A signed-in person's browser.
#[derive(Debug, Clone)]
struct Browser {
    cookie: String,
    csrf: String,
}

impl Deployment {
    fn new() -> Self {
        Self { world: world(), beats: std::cell::Cell::new(0) }
    }

    /// With a media node alive.
    fn with_node() -> Self {
        let deployment = Self::new();
        deployment.beat("m1", 0, false);
        deployment
    }

    fn reply(&self, request: Request) -> Reply {
        block_on(async {
            let reply = self.world.request(request).await;
            self.world.settle().await;
            reply
        })
    }

    fn send(&self, request: Request) -> Response {
        response(self.reply(request))
    }

    fn advance(&self, millis: i64) {
        block_on(self.world.advance(self.world.now().plus(millis)));
    }

    fn heartbeat(&self, node: &str, live_calls: u32, draining: bool) -> Request {
        self.beats.set(self.beats.get() + 1);
        let heartbeat = Heartbeat {
            protocol: 1,
            node: NodeId::parse(node).unwrap(),
            url: format!("wss://{node}.example.com"),
            region: "iad".into(),
            capacity: 10,
            live_calls,
            draining,
            version: "0.1.0".into(),
        };
        let body = serde_json::to_vec(&heartbeat).unwrap();
        // Two heartbeats of one node never carry the same time.
        let at = self.world.now().plus(self.beats.get() as i64);
        signed_heartbeat(&heartbeat.node, at, &format!("nonce{:016}", self.beats.get()), body)
    }

    fn beat(&self, node: &str, live_calls: u32, draining: bool) {
        let response = self.send(self.heartbeat(node, live_calls, draining));
        assert_eq!(response.status, 200, "{}", text(&response));
    }

    /// Makes the administrator and signs them in.
    fn set_up(&self) -> Browser {
        let body = json!({"token": SETUP, "email": "Ada@example.com", "password": "correct horse battery"});
        browser(&self.send(post("/api/setup", &body)))
    }

    /// Makes an API key.
    fn key(&self, browser: &Browser) -> String {
        let response = self.send(browser.on(post("/api/keys", &json!({"name": "crm"}))));
        assert_eq!(response.status, 201, "{}", text(&response));
        read(&response)["key"].as_str().unwrap().to_owned()
    }
}

impl Browser {
    fn on(&self, mut request: Request) -> Request {
        request.headers.push(("cookie".into(), format!("other=1; __Host-sid={}", self.cookie)));
        request.headers.push(("origin".into(), BASE.into()));
        if request.method.is_unsafe() {
            request.headers.push(("x-csrf-token".into(), self.csrf.clone()));
        }
        request
    }
}

fn browser(response: &Response) -> Browser {
    assert!(matches!(response.status, 200 | 201), "{}", text(response));
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200"), "{cookie}");
    let cookie = cookie.strip_prefix("__Host-sid=").unwrap().split(';').next().unwrap().to_owned();
    Browser { cookie, csrf: read(response)["csrfToken"].as_str().unwrap().to_owned() }
}

fn signed_heartbeat(node: &NodeId, at: UnixMillis, nonce: &str, body: Vec<u8>) -> Request {
    let signature = node_auth::sign(&Secret::new(NODE_SECRET), HEARTBEAT_PATH, node, at, nonce, &body);
    let mut request = Request::new(Method::Post, HEARTBEAT_PATH);
    request.headers = vec![
        ("content-type".into(), "application/json".into()),
        (node_auth::HEADER_NODE.into(), node.to_string()),
        (node_auth::HEADER_TIME.into(), at.0.to_string()),
        (node_auth::HEADER_NONCE.into(), nonce.into()),
        (node_auth::HEADER_SIGNATURE.into(), signature),
    ];
    request.body = body;
    request
}

fn get(target: &str) -> Request {
    Request::new(Method::Get, target)
}

fn with_body(method: Method, target: &str, body: &Value) -> Request {
    let mut request = Request::new(method, target);
    request.headers = vec![("content-type".into(), "application/json".into())];
    request.body = body.to_string().into_bytes();
    request
}

fn post(target: &str, body: &Value) -> Request {
    with_body(Method::Post, target, body)
}

fn put(target: &str, body: &Value) -> Request {
    with_body(Method::Put, target, body)
}

fn bearer(key: &str, mut request: Request) -> Request {
    request.headers.push(("authorization".into(), format!("Bearer {key}")));
    request
}

/// The same request, signed by a node: the opening of a room's socket.
fn by_node(deployment: &Deployment, node: &str, mut request: Request) -> Request {
    let (node, at, nonce) = (NodeId::parse(node).unwrap(), deployment.world.now(), "nonce00000000000000");
    let signature = node_auth::sign(&Secret::new(NODE_SECRET), &request.path, &node, at, nonce, &request.body);
    request.headers.extend([
        (node_auth::HEADER_NODE.into(), node.to_string()),
        (node_auth::HEADER_TIME.into(), at.0.to_string()),
        (node_auth::HEADER_NONCE.into(), nonce.into()),
        (node_auth::HEADER_SIGNATURE.into(), signature),
    ]);
    request
}

/// The node to which a document gives the media.
fn node_of(twiml: &str) -> String {
    let url = attribute(twiml, "Stream", "url").unwrap();
    url.rsplit('/').next().unwrap().to_owned()
}

fn socket(target: &str) -> Request {
    let mut request = get(target);
    request.headers.push(("upgrade".into(), "websocket".into()));
    request
}

fn read(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("not JSON: {}", text(response)))
}

/// Status and error code.
fn refusal(response: &Response) -> (u16, String) {
    (response.status, read(response)["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// Answers a number's inbound call and gives the TwiML back.
fn ring(deployment: &Deployment, n: u32) -> String {
    let fields = inbound_fields(&call_sid(n));
    let response = deployment.send(twilio_post("/voice", &borrowed(&fields)));
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/xml; charset=utf-8")));
    text(&response)
}

fn agent_body(id: &str) -> Value {
    json!({"id": id, "name": "Desk", "voice": {"provider": "openai"}, "greeting": "Good morning."})
}
