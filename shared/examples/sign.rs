//! Prints the bare Twilio signature of requests, so that the official helpers can be compared with it: reads JSON lines
//! `{"token","url","params":[[name,value],…]}` and writes one signature a line.

use serde::Deserialize;
use shared::twilio::signature::{Algorithm, sign};
use std::io::{BufRead as _, Write as _};

#[derive(Deserialize)]
struct Request {
    token: String,
    url: String,
    params: Vec<(String, String)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let params: Vec<(&str, &str)> = request.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        writeln!(out, "{}", sign(request.token.as_bytes(), Algorithm::HmacSha1, &request.url, &params))?;
    }
    out.flush()?;
    Ok(())
}
