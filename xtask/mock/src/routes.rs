//! The documents' operations and preflights as routes of dropshot, the service's own router.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dropshot::{
    ApiDescription, ApiEndpoint, ApiEndpointBodyContentType, ApiEndpointParameter,
    ApiEndpointVersions, Body, HttpError, Path, RawRequest, RequestContext, SharedExtractor,
};
use http::{Method, Response};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::{InstanceType, ObjectValidation, Schema, SchemaObject};
use serde::Deserialize;
use vestibule_runtime::{OperationInfo, preflight, serve_untyped};

use crate::{Mock, MockOperation, answer, credentials};

type Context = RequestContext<Arc<Mock>>;

/// Every route.
///
/// # Errors
/// When two paths collide.
pub fn describe(
    operations: &[&'static MockOperation],
) -> Result<ApiDescription<Arc<Mock>>, String> {
    let mut api = ApiDescription::new();
    let mut cors: BTreeMap<&str, Vec<&OperationInfo>> = BTreeMap::new();
    for operation in operations.iter().copied() {
        let info = operation.info;
        let handler = move |context: Context, request: RawRequest| async move {
            respond(operation, context, request).await
        };
        let mut endpoint = ApiEndpoint::new(
            info.id.to_owned(),
            handler,
            info.method.clone(),
            "application/json",
            info.path,
            ApiEndpointVersions::All,
        );
        endpoint.parameters = path_parameters(info.path);
        api.register(endpoint).map_err(|bad| format!("{}: {bad}", info.id))?;
        if info.cors {
            cors.entry(info.path).or_default().push(info);
        }
    }
    for (path, infos) in cors {
        let methods: Vec<_> = infos.iter().map(|info| info.method.as_str()).collect();
        let keys = infos.iter().filter_map(|info| Some(info.idempotency.as_ref()?.header));
        let clocks = infos.iter().filter_map(|info| Some(info.test_clock.as_ref()?.header));
        let more: BTreeSet<_> = keys.chain(clocks).collect();
        let headers: Vec<_> = ["authorization", "content-type"].into_iter().chain(more).collect();
        let (methods, headers): (&str, &str) =
            (methods.join(", ").leak(), headers.join(", ").leak());
        let handler = move |context: Context| preflight(context, path, methods, headers);
        let mut endpoint = ApiEndpoint::new(
            format!("preflight {path}"),
            handler,
            Method::OPTIONS,
            "application/json",
            path,
            ApiEndpointVersions::All,
        );
        endpoint.parameters = path_parameters(path);
        api.register(endpoint).map_err(|bad| format!("OPTIONS {path}: {bad}"))?;
    }
    Ok(api)
}

/// As generated glue does it: credential, constraints, then the answer.
async fn respond(
    operation: &'static MockOperation,
    context: Context,
    request: RawRequest,
) -> Result<Response<Body>, HttpError> {
    let codes = context.context().codes;
    let handle = |mock: Arc<Mock>, received: vestibule_runtime::Received| async move {
        credentials::check(operation, &received, codes)?;
        operation.checks.run(&received, codes)?;
        answer::answer(operation, &received, mock.seed, codes)
    };
    serve_untyped(operation.info, context, request.into_inner(), codes, handle).await
}

thread_local! {
    static VARIABLES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The variables of the path that is being registered, which dropshot asks every handler to name.
/// It takes them from a type alone, so this type has them from the thread that registers.
#[derive(Deserialize)]
struct Variables {}

impl JsonSchema for Variables {
    fn schema_name() -> String {
        "Variables".to_owned()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = VARIABLES.with_borrow(Clone::clone);
        let text = generator.subschema_for::<String>();
        let object = ObjectValidation {
            properties: names.iter().map(|name| (name.clone(), text.clone())).collect(),
            required: names.into_iter().collect(),
            ..ObjectValidation::default()
        };
        Schema::Object(SchemaObject {
            instance_type: Some(InstanceType::Object.into()),
            object: Some(Box::new(object)),
            ..SchemaObject::default()
        })
    }
}

fn path_parameters(path: &str) -> Vec<ApiEndpointParameter> {
    let variables = path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    VARIABLES.set(variables.map(str::to_owned).collect());
    Path::<Variables>::metadata(ApiEndpointBodyContentType::Json).parameters
}
