//! The thin thread: one request of each surface through all layers, and the token it gives.

use serde_json::json;

use crate::requests::{get, open_chat, open_embed, open_iframe, post, send};
use crate::service::Service;

#[tokio::test]
async fn signed_request_opens_a_session_whose_token_reads_it() {
    let service = Service::shared();
    let employee = "64f000000000000000000001";
    let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
    let opened = open_embed(&service.base_url, &service.demo.demo, &body).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let token = opened.body["data"]["embedToken"].as_str().expect("a token");
    let read = get(&service.url("/v1/embed/session"), token).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.body["data"]["employeeId"], employee);
}

#[tokio::test]
async fn publishable_key_opens_a_session_whose_token_reads_its_conversation() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let body = json!({ "publicKey": demo.chat.public_key, "variables": { "cart_total": 129 } });
    let opened = open_chat(&service.base_url, demo, &body).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let bearer = format!("Bearer {}", opened.body["sessionToken"].as_str().expect("a token"));
    let headers = [("authorization", bearer.as_str()), ("origin", demo.chat.origin.as_str())];
    let url = service.url("/api/public/v1/chat/conversation");
    let read = send(reqwest::Method::GET, &url, &headers, None).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.body["variables"]["cart_total"], 129);
}

#[tokio::test]
async fn api_key_opens_a_session_whose_cache_key_gives_the_token() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let body = json!({ "uid": "u1", "srcs": [demo.iframe.source_ids[0]] });
    let opened = open_iframe(&service.base_url, demo, &body).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let cache_key = json!({ "cache_key": opened.body["cache_key"] });
    let redeemed = post(&service.url("/api/v1/iframe/token"), &[], &cache_key).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text);
    assert_eq!(redeemed.body["uid"], "u1");
}
