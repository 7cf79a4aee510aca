//! Creating iframe links: sources, lifetime, themes, limits, and who may.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::text;
use crate::keyring::{demo_tenant, make_key, members, revoke_key, set_key};
use crate::requests::{Answer, open_iframe, post, send};
use crate::service::Service;

/// A request of the demo tenant's key with these members beside `uid` and `srcs`.
async fn create(service: &Service, over: Value) -> Answer {
    let demo = &service.demo.demo;
    let mut body = json!({ "uid": "user-1842", "srcs": demo.iframe.source_ids });
    body.as_object_mut().expect("members").extend(over.as_object().expect("these").clone());
    open_iframe(&service.base_url, demo, &body).await
}

fn broken(answer: &Answer) -> Vec<(String, String)> {
    answer.refused(400, "invalid_input");
    let mut found: Vec<_> = answer.violations().into_iter().map(|(_, at, key)| (at, key)).collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_link_names_its_session_in_the_path_and_its_key_in_the_fragment() {
    let service = Service::shared();
    let created = create(service, json!({})).await;
    assert_eq!(created.status, 200, "{}", created.text);
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!(created.header("x-content-type-options"), "nosniff");
    assert!(created.header("deprecation").is_empty());
    assert_eq!(members(&created.body), ["cache_key", "expires_in", "iframe_url"]);
    assert_eq!(created.body["expires_in"], 900);
    let key = text(&created, "/cache_key");
    let digits = key.strip_prefix("ck_").expect("a cache key");
    assert!(digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric()), "{key}");
    let url = text(&created, "/iframe_url");
    let session = url.strip_prefix(&format!("{}/iframe/", service.base_url)).expect("our page");
    let session = session.strip_suffix(&format!("#key={key}")).expect("the key in the fragment");
    assert!(session.starts_with("ses_") && session.len() == 30, "{session}");
    let again = create(service, json!({})).await;
    assert_ne!(again.body["cache_key"], created.body["cache_key"]);
}

#[tokio::test]
async fn sources_are_the_tenants_by_number_or_by_text() {
    let service = Service::shared();
    let ids = &service.demo.demo.iframe.source_ids;
    let as_text = [ids[0].to_string(), ids[1].to_string()];
    for srcs in [json!([ids[0]]), json!(as_text), json!([as_text[0], ids[1]])] {
        let created = create(service, json!({ "srcs": srcs })).await;
        assert_eq!(created.status, 200, "{srcs}: {}", created.text);
    }
    // A name as text, for tenants whose sources are not numbered.
    let tenant = demo_tenant(service).await;
    let audit = service.context.audit(&tenant, "test", "source.put", "sales-warehouse");
    service.context.store.put_source(&tenant, "sales-warehouse", audit).await.expect("stored");
    let named = create(service, json!({ "srcs": ["sales-warehouse", ids[0]] })).await;
    assert_eq!(named.status, 200, "{}", named.text);
}

#[tokio::test]
async fn unknown_sources_are_all_named_and_anothers_are_unknown() {
    let service = Service::shared();
    let (own, other) = (&service.demo.demo.iframe, &service.demo.other.iframe);
    let srcs = json!([own.source_ids[0], 999_999, "nope", other.source_ids[0], "0101"]);
    let refused = create(service, json!({ "srcs": srcs })).await;
    refused.refused(400, "unknown_source");
    let unknown = json!(["999999", "nope", other.source_ids[0].to_string(), "0101"]);
    assert_eq!(refused.body["details"], json!({ "unknown": unknown }));
    let empty = create(service, json!({ "srcs": [] })).await;
    assert_eq!(broken(&empty), [("/srcs".to_owned(), "minItems".to_owned())]);
    let twice = create(service, json!({ "srcs": [own.source_ids[0], own.source_ids[0]] })).await;
    assert_eq!(broken(&twice), [("/srcs".to_owned(), "uniqueItems".to_owned())]);
    for bad in [json!(true), json!(1.5), json!(-1), json!({}), json!([]), json!(null)] {
        let refused = create(service, json!({ "srcs": [bad] })).await;
        assert!(broken(&refused).iter().all(|(at, _)| at == "/srcs/0"), "{}", refused.text);
    }
}

#[tokio::test]
async fn the_lifetime_is_refused_outside_its_bounds_and_never_clamped() {
    let service = Service::shared();
    for ttl in [60, 61, 900, 3599, 3600] {
        let created = create(service, json!({ "ttl": ttl })).await;
        assert_eq!(created.body["expires_in"], ttl, "{}", created.text);
    }
    for (ttl, keyword) in [(59, "minimum"), (0, "minimum"), (-900, "minimum"), (3601, "maximum")] {
        let refused = create(service, json!({ "ttl": ttl })).await;
        assert_eq!(broken(&refused), [("/ttl".to_owned(), keyword.to_owned())], "{ttl}");
    }
}

#[tokio::test]
async fn the_models_are_the_listed_ones() {
    let service = Service::shared();
    let listed =
        ["o3", "o4-mini", "gpt-4.1", "gpt-5", "gpt-5-codex", "sonnet-4", "sonnet-4.5", "haiku-4.5"];
    for model in listed {
        let created = create(service, json!({ "model": model })).await;
        assert_eq!(created.status, 200, "{model}: {}", created.text);
    }
    for model in ["gpt-6", "GPT-5", ""] {
        let refused = create(service, json!({ "model": model })).await;
        assert_eq!(broken(&refused), [("/model".to_owned(), "enum".to_owned())]);
    }
}

#[tokio::test]
async fn theme_and_theme_id_exclude_each_other() {
    let service = Service::shared();
    let id = service.demo.demo.iframe.theme_ids[0];
    for theme in [json!({}), json!({ "theme_mode": "dark" })] {
        let refused = create(service, json!({ "theme": theme, "theme_id": id })).await;
        refused.refused(400, "theme_conflict");
    }
    for one in [json!({ "theme": {} }), json!({ "theme_id": id })] {
        assert_eq!(create(service, one).await.status, 200);
    }
}

#[tokio::test]
async fn another_tenants_theme_is_not_found() {
    let service = Service::shared();
    let foreign = service.demo.other.iframe.theme_ids[0];
    for id in [foreign, 999_999] {
        create(service, json!({ "theme_id": id })).await.refused(404, "theme_not_found");
    }
}

#[tokio::test]
async fn a_css_value_that_could_load_or_run_something_is_refused() {
    let service = Service::shared();
    let with = |name: &str, value: &str| json!({ "theme": { "custom_css_vars": { name: value } } });
    for value in ["#0f62fe", "1px solid rgb(1 2 3)", "", "var(--other)", "curl (x"] {
        assert_eq!(create(service, with("--accent", value)).await.status, 200, "{value}");
    }
    for value in [
        "a;b",
        "{",
        "}",
        "<b",
        "a>",
        "@import",
        "\\75rl(x",
        "url(x)",
        "URL (x) uRl(y)",
        "Expression(1)",
    ] {
        let refused = create(service, with("--accent", value)).await;
        let expected = [("/theme/custom_css_vars/--accent".to_owned(), "pattern".to_owned())];
        assert_eq!(broken(&refused), expected, "{value}");
    }
    for name in ["accent", "-accent", "--Accent", "--1", "--a_b", "--"] {
        let refused = create(service, with(name, "red")).await;
        assert_eq!(broken(&refused)[0].1, "propertyNames", "{name}: {}", refused.text);
    }
}

#[tokio::test]
async fn deprecated_members_are_answered_with_their_date() {
    let service = Service::shared();
    for used in [
        json!({ "response_mode": "basic" }),
        json!({ "show_sidebar": true }),
        json!({ "show_dashboards": false, "theme": { "show_dashboards": true } }),
    ] {
        let created = create(service, used).await;
        let date = created.header("deprecation");
        let digits = date.strip_prefix('@').expect("an RFC 9745 date");
        assert!(digits.parse::<i64>().is_ok(), "{date}");
    }
    let inside = json!({ "theme": { "response_mode": "basic", "show_sidebar": false } });
    assert!(create(service, inside).await.header("deprecation").is_empty());
}

#[tokio::test]
async fn limits_know_four_windows_of_whole_numbers() {
    let service = Service::shared();
    let all = json!({ "hourly": 0, "daily": 1, "weekly": 2, "monthly": 3 });
    for limits in [all, json!({}), json!({ "weekly": 9_007_199_254_740_991_i64 }), json!(null)] {
        let created = create(service, json!({ "uid": "limits", "limits": limits })).await;
        assert_eq!(created.status, 200, "{limits}: {}", created.text);
    }
    let cases = [
        (json!({ "yearly": 1 }), "/limits/yearly", "additionalProperties"),
        (json!({ "hourly": -1 }), "/limits/hourly", "minimum"),
        (json!({ "hourly": null }), "/limits/hourly", "type"),
        (json!({ "hourly": "1" }), "/limits/hourly", "type"),
        (json!([]), "/limits", "type"),
    ];
    for (limits, pointer, keyword) in cases {
        let refused = create(service, json!({ "limits": limits })).await;
        assert_eq!(broken(&refused), [(pointer.to_owned(), keyword.to_owned())]);
    }
}

#[tokio::test]
async fn null_is_refused_everywhere_but_for_limits() {
    let service = Service::shared();
    for name in [
        "uid",
        "srcs",
        "ttl",
        "knowledge_base_entries",
        "reference_queries",
        "model",
        "theme",
        "response_mode",
        "theme_id",
        "show_sidebar",
        "show_dashboards",
    ] {
        let refused = create(service, json!({ name: null })).await;
        let found = broken(&refused);
        assert!(found.iter().all(|(at, _)| *at == format!("/{name}")), "{}", refused.text);
    }
}

#[tokio::test]
async fn unknown_members_are_refused_wherever_they_are() {
    let service = Service::shared();
    let body = json!({
        "user": 1, "theme": { "logo": 1 }, "limits": { "x": 1 },
        "reference_queries": [{ "title": "t", "query": "q", "sql": "q" }],
    });
    let found = broken(&create(service, body).await);
    let expected = ["/limits/x", "/reference_queries/0/sql", "/theme/logo", "/user"];
    assert!(found.iter().map(|(at, _)| at.as_str()).eq(expected), "{found:?}");
    assert!(found.iter().all(|(_, keyword)| keyword == "additionalProperties"), "{found:?}");
}

#[tokio::test]
async fn entries_and_queries_are_bounded_in_number_and_bytes() {
    let service = Service::shared();
    let query = |title: usize, query: usize| json!({ "title": "t".repeat(title), "query": "q".repeat(query) });
    let fits = json!({
        "knowledge_base_entries": vec!["x"; 50], "reference_queries": vec![query(200, 10); 50],
    });
    assert_eq!(create(service, fits).await.status, 200);
    let long = json!({
        "knowledge_base_entries": ["x".repeat(8192), "\u{fc}".repeat(4096)],
        "reference_queries": [query(1, 16_384)],
    });
    assert_eq!(create(service, long).await.status, 200);
    let over = json!({
        "knowledge_base_entries": vec!["x"; 51], "reference_queries": vec![query(1, 1); 51],
    });
    let found = broken(&create(service, over).await);
    let at = |pointer: &str, keyword: &str| (pointer.to_owned(), keyword.to_owned());
    assert_eq!(
        found,
        [at("/knowledge_base_entries", "maxItems"), at("/reference_queries", "maxItems")]
    );
    let wide = json!({
        "knowledge_base_entries": ["\u{fc}".repeat(4097)], "reference_queries": [query(201, 1)],
    });
    let expected = [
        at("/knowledge_base_entries/0", "x-max-bytes"),
        at("/reference_queries/0/title", "maxLength"),
    ];
    assert_eq!(broken(&create(service, wide).await), expected);
}

#[tokio::test]
async fn only_the_bearer_of_a_working_iframe_key_creates_links() {
    let service = Service::start(|_| {});
    let demo = &service.demo.demo;
    let url = service.url("/api/v1/iframe/create");
    let body = json!({ "uid": "u", "srcs": demo.iframe.source_ids });
    post(&url, &[], &body).await.refused(401, "missing_credentials");
    let key = make_key(&service, &demo_tenant(&service).await, "iframe", json!({})).await;
    let as_key = async |value: &str| post(&url, &[("authorization", value)], &body).await;
    let bearer = format!("Bearer {}", key.secret);
    for bad in [
        key.secret.as_str(),
        "Bearer nonsense",
        &format!("Bearer {}x", key.secret),
        &format!("Basic {}", key.secret),
        &format!("Bearer {}", demo.embed.secret),
        &format!("Bearer {}", demo.chat.public_key),
        &format!("Bearer {}", service.demo.admin.token),
    ] {
        as_key(bad).await.refused(401, "invalid_api_key");
    }
    assert_eq!(as_key(&bearer).await.status, 200);
    set_key(&service, &key.id, "pause").await;
    as_key(&bearer).await.refused(401, "invalid_api_key");
    set_key(&service, &key.id, "resume").await;
    assert_eq!(as_key(&bearer).await.status, 200);
    revoke_key(&service, &key.id).await;
    as_key(&bearer).await.refused(401, "invalid_api_key");
}

#[tokio::test]
async fn an_api_key_in_a_page_is_refused_and_nothing_may_be_read_there() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let bearer = format!("Bearer {}", demo.iframe.api_key);
    let body = json!({ "uid": "u", "srcs": demo.iframe.source_ids }).to_string();
    for origin in [demo.chat.origin.as_str(), &service.base_url, "null"] {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        let url = service.url("/api/v1/iframe/create");
        let refused = send(Method::POST, &url, &headers, Some(body.clone().into())).await;
        refused.refused(403, "secret_key_in_browser");
        assert!(refused.header("access-control-allow-origin").is_empty());
    }
}
