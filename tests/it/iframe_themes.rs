//! What a redeemed token shows: the resolved theme and the limits of its user.

use serde_json::{Value, json};
use vestibule::domain::theme::ThemeSettings;

use crate::keyring::{make_key, make_tenant};
use crate::requests::post;
use crate::service::Service;

/// A tenant with one source and no theme, and its API key.
struct Host<'a> {
    service: &'a Service,
    tenant: String,
    api_key: String,
}

impl<'a> Host<'a> {
    async fn new(service: &'a Service) -> Self {
        let (tenant, _) = make_tenant(service, json!({ "name": "Themed" })).await;
        let audit = service.context.audit(&tenant, "test", "source.put", "s");
        service.context.store.put_source(&tenant, "s", audit).await.expect("stored");
        let api_key = make_key(service, &tenant, "iframe", json!({})).await.secret;
        Self { service, tenant, api_key }
    }

    async fn put_theme(&self, id: i64, is_default: bool, theme: Value) {
        let theme: ThemeSettings = serde_json::from_value(theme).expect("a theme");
        let context = &self.service.context;
        let audit = context.audit(&self.tenant, "test", "theme.put", &id.to_string());
        let put = context.store.put_theme(&self.tenant, id, is_default, &theme, audit);
        put.await.expect("stored");
    }

    /// Creates a link and gives its cache key.
    async fn create(&self, over: Value) -> Value {
        let mut body = json!({ "uid": "u", "srcs": ["s"] });
        body.as_object_mut().expect("members").extend(over.as_object().expect("these").clone());
        let bearer = format!("Bearer {}", self.api_key);
        let url = self.service.url("/api/v1/iframe/create");
        let created = post(&url, &[("authorization", &bearer)], &body).await;
        assert_eq!(created.status, 200, "{}", created.text);
        created.body["cache_key"].clone()
    }

    async fn redeem(&self, cache_key: &Value) -> Value {
        let url = self.service.url("/api/v1/iframe/token");
        let redeemed = post(&url, &[], &json!({ "cache_key": cache_key })).await;
        assert_eq!(redeemed.status, 200, "{}", redeemed.text);
        redeemed.body
    }

    async fn theme(&self, over: Value) -> Value {
        self.redeem(&self.create(over).await).await["theme"].clone()
    }

    async fn limits(&self, over: Value) -> Option<Value> {
        self.redeem(&self.create(over).await).await.get("limits").cloned()
    }
}

fn theme(mode: &str, sidebar: bool, dashboards: bool) -> Value {
    json!({
        "theme_mode": "both", "custom_css_vars": {}, "response_mode": mode,
        "show_sidebar": sidebar, "show_dashboards": dashboards,
    })
}

#[tokio::test]
async fn without_any_theme_the_deprecated_members_hold_then_the_defaults() {
    let host = Host::new(Service::shared()).await;
    assert_eq!(host.theme(json!({})).await, theme("full", true, true));
    let old = json!({ "response_mode": "basic", "show_sidebar": false, "show_dashboards": false });
    assert_eq!(host.theme(old).await, theme("basic", false, false));
    let one = json!({ "show_dashboards": false });
    assert_eq!(host.theme(one).await, theme("full", true, false));
}

#[tokio::test]
async fn a_theme_wins_over_the_deprecated_members_where_it_speaks() {
    let host = Host::new(Service::shared()).await;
    let old = json!({ "response_mode": "basic", "show_sidebar": false, "show_dashboards": false });
    let with = |theme: Value| {
        let mut body = old.clone();
        body["theme"] = theme;
        body
    };
    let full = json!({ "response_mode": "full", "show_sidebar": true, "show_dashboards": true });
    assert_eq!(host.theme(with(full)).await, theme("full", true, true));
    let sidebar = json!({ "show_sidebar": true });
    assert_eq!(host.theme(with(sidebar)).await, theme("basic", true, false));
    let rest = json!({
        "theme_mode": "dark", "custom_css_vars": { "--a-1": "#0f62fe" }, "start_message": "<b>Hi</b>",
    });
    let shown = host.theme(with(rest)).await;
    let expected = json!({
        "theme_mode": "dark", "custom_css_vars": { "--a-1": "#0f62fe" }, "start_message": "<b>Hi</b>",
        "response_mode": "basic", "show_sidebar": false, "show_dashboards": false,
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_stored_theme_is_a_snapshot_and_the_default_is_live() {
    let host = Host::new(Service::shared()).await;
    host.put_theme(7, false, json!({ "theme_mode": "dark", "show_sidebar": false })).await;
    host.put_theme(8, true, json!({ "theme_mode": "light", "response_mode": "basic" })).await;
    let explicit = host.create(json!({ "theme_id": 7, "show_sidebar": true })).await;
    let follows = host.create(json!({ "response_mode": "full", "show_sidebar": false })).await;
    let snapshot = host.redeem(&explicit).await["theme"].clone();
    assert_eq!(
        (&snapshot["theme_mode"], &snapshot["show_sidebar"]),
        (&json!("dark"), &json!(false))
    );
    let live = host.redeem(&follows).await["theme"].clone();
    assert_eq!((&live["theme_mode"], &live["response_mode"]), (&json!("light"), &json!("basic")));
    assert_eq!(live["show_sidebar"], false, "the default is silent on it, the request is not");
    host.put_theme(7, false, json!({ "theme_mode": "light" })).await;
    host.put_theme(9, true, json!({ "theme_mode": "dark" })).await;
    assert_eq!(host.redeem(&explicit).await["theme"], snapshot);
    let live = host.redeem(&follows).await["theme"].clone();
    assert_eq!((&live["theme_mode"], &live["response_mode"]), (&json!("dark"), &json!("full")));
    let silent = host.create(json!({ "theme": {} })).await;
    assert_eq!(
        host.redeem(&silent).await["theme"]["theme_mode"],
        "both",
        "an inline theme is explicit"
    );
}

#[tokio::test]
async fn the_demo_theme_is_the_demo_tenants_default() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let host = Host { service, tenant: String::new(), api_key: demo.iframe.api_key.clone() };
    let body = json!({ "srcs": demo.iframe.source_ids, "show_sidebar": false });
    let by_default = host.theme(body.clone()).await;
    assert_eq!(by_default["custom_css_vars"], json!({ "--accent": "#23527c" }));
    assert_eq!(by_default["show_sidebar"], true, "the theme says so");
    let named = json!({ "srcs": demo.iframe.source_ids, "theme_id": demo.iframe.theme_ids[0] });
    assert_eq!(host.theme(named).await, by_default);
}

#[tokio::test]
async fn the_last_request_with_limits_wins_omitting_keeps_and_null_clears() {
    let host = Host::new(Service::shared()).await;
    let of = |uid: &str, limits: Value| json!({ "uid": uid, "limits": limits });
    assert_eq!(host.limits(json!({ "uid": "a" })).await, None);
    let all =
        json!({ "hourly": 0, "daily": 10, "weekly": 20, "monthly": 9_007_199_254_740_991_i64 });
    assert_eq!(host.limits(of("a", all.clone())).await, Some(all.clone()));
    assert_eq!(host.limits(json!({ "uid": "a" })).await, Some(all), "omitted keeps");
    let daily = json!({ "daily": 5 });
    assert_eq!(
        host.limits(of("a", daily.clone())).await,
        Some(daily.clone()),
        "replaced as a whole"
    );
    assert_eq!(host.limits(json!({ "uid": "b" })).await, None, "another user's own");
    assert_eq!(host.limits(of("a", Value::Null)).await, None, "null clears");
    assert_eq!(host.limits(json!({ "uid": "a" })).await, None);
    assert_eq!(host.limits(of("a", json!({}))).await, Some(json!({})), "set to no window at all");
    let elsewhere = Host::new(host.service).await;
    assert_eq!(elsewhere.limits(json!({ "uid": "a" })).await, None, "another tenant's user");
}

#[tokio::test]
async fn older_sessions_of_a_user_show_the_newest_limits() {
    let host = Host::new(Service::shared()).await;
    let older = host.create(json!({ "limits": { "hourly": 1 } })).await;
    host.create(json!({ "limits": { "hourly": 2 } })).await;
    assert_eq!(host.redeem(&older).await["limits"], json!({ "hourly": 2 }));
    host.create(json!({ "limits": null })).await;
    assert!(host.redeem(&older).await.get("limits").is_none());
}
