//! The way of a request: log, authentication, faults, routing.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT};
use http::{Method, StatusCode};
use serde_json::Value;

use super::call::Call;
use super::delete::Options;
use super::form::Form;
use super::meta::Part;
use super::patch::Kind;
use super::query::Query;
use super::rbac::{self, Action, Policies};
use super::route::{self, Route, Target};
use super::{Request, Shared, Token, discovery, openapi, respond};
use crate::faults::{self, Effect, Held, Subject, When};
use crate::status::Status;

/// Longest body accepted, as in Kubernetes.
const MAX_BODY: usize = 3 << 20;

/// A connection that a fault closes.
#[derive(Debug, thiserror::Error)]
#[error("connection closed on purpose")]
pub(crate) struct HangUp;

/// Answers a request.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    request: http::Request<Body>,
) -> Result<Response, HangUp> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let route = route::route(&path);
    let mut entry = entry(&parts.method, &parts.headers, &query, &route);
    entry.path = parts.uri.to_string();
    let mut logged = Logged {
        shared: &shared,
        entry,
    };
    let entry = &mut logged.entry;

    let answer = async {
        let user = match authenticate(&shared, &parts.headers) {
            Ok(user) => user,
            Err(status) => return Ok(respond::refusal(&status)),
        };
        entry.user.clone_from(&user.user);
        // Read before faults strike: only then does a connection notice that a client that is held has gone.
        let body = match axum::body::to_bytes(body, MAX_BODY).await {
            Ok(body) => body,
            Err(_) => {
                let message = format!("Request entity too large: limit is {MAX_BODY}");
                let status = Status::new(413, "RequestEntityTooLarge", message);
                return Ok(respond::refusal(&status));
            }
        };
        let subject = Subject {
            agent: &entry.agent,
            verb: &entry.verb,
            resource: &entry.resource,
            name: &entry.name,
        };
        let fault = shared.faults.strike(&subject);
        if let Some((When::BeforeCommit, effect)) = &fault
            && let Some(answer) = struck(effect, &subject).await
        {
            return answer;
        }
        if let Err(status) = authorize(&shared, &user, &route, entry) {
            return Ok(respond::refusal(&status));
        }
        let response = dispatch(&shared, &parts, &user, route, query, &body)
            .unwrap_or_else(|status| respond::refusal(&status));
        if let Some((When::AfterCommit, effect)) = &fault
            && let Some(answer) = struck(effect, &subject).await
        {
            return answer;
        }
        Ok(response)
    }
    .await;

    logged.entry.code = answer
        .as_ref()
        .ok()
        .map(|response| response.status().as_u16());
    answer
}

/// A request that is remembered however it ends: answered, hung up, or given up by its client.
struct Logged<'a> {
    shared: &'a Shared,
    entry: Request,
}

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        self.shared.requests.push(self.entry.clone());
    }
}

/// What a fault answers; `None` if the request goes on.
async fn struck(effect: &Effect, subject: &Subject<'_>) -> Option<Result<Response, HangUp>> {
    match effect {
        Effect::Refuse { code, retry_after } => {
            Some(Ok(respond::refusal(&faults::refusal(*code, *retry_after))))
        }
        Effect::Drop => Some(Err(HangUp)),
        Effect::Delay(time) => {
            tokio::time::sleep(*time).await;
            None
        }
        Effect::Hold(gate) => {
            let held = Held {
                agent: subject.agent.to_owned(),
                verb: subject.verb.to_owned(),
                resource: subject.resource.to_owned(),
                name: subject.name.to_owned(),
            };
            (!gate.pass(held).await).then_some(Err(HangUp))
        }
    }
}

fn entry(method: &Method, headers: &HeaderMap, query: &Query, route: &Route) -> Request {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let mut entry = Request {
        received: Instant::now(),
        agent: agent.unwrap_or_default().to_owned(),
        user: String::new(),
        verb: method.as_str().to_lowercase(),
        resource: String::new(),
        namespace: String::new(),
        name: String::new(),
        path: String::new(),
        code: None,
    };
    if let Route::Resource(target) = route {
        if let Some(verb) = route::verb(method, target.name.is_some(), query.flag("watch")) {
            entry.verb = verb.to_owned();
        }
        entry.resource.clone_from(&target.resource);
        if let Some(subresource) = &target.subresource {
            entry.resource = format!("{}/{subresource}", target.resource);
        }
        entry.namespace = target.namespace.clone().unwrap_or_default();
        entry.name = target.name.clone().unwrap_or_default();
    }
    entry
}

/// Who is asking.
fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Token, Status> {
    let tokens = &shared.options.tokens;
    if tokens.is_empty() {
        return Ok(Token {
            token: String::new(),
            user: "system:admin".to_owned(),
            groups: vec!["system:masters".to_owned()],
        });
    }
    header(headers, &AUTHORIZATION)
        .strip_prefix("Bearer ")
        .and_then(|given| tokens.iter().find(|token| token.token == given.trim()))
        .cloned()
        .ok_or_else(Status::unauthorized)
}

/// Whether the user may do this. Paths that name no objects are open to all, as on a default cluster.
fn authorize(shared: &Shared, user: &Token, route: &Route, entry: &Request) -> Result<(), Status> {
    let Route::Resource(target) = route else {
        return Ok(());
    };
    let action = Action {
        verb: &entry.verb,
        group: &target.group,
        resource: &entry.resource,
        namespace: &entry.namespace,
        name: &entry.name,
    };
    // On a default cluster, everyone may ask what they may (system:basic-user).
    let asks = (action.verb, action.group, action.resource)
        == ("create", "authorization.k8s.io", "selfsubjectaccessreviews");
    if asks || !shared.options.rbac || Policies::of(shared).permit(user, &action) {
        return Ok(());
    }
    Err(rbac::forbidden(&user.user, &action))
}

fn dispatch(
    shared: &Arc<Shared>,
    parts: &http::request::Parts,
    user: &Token,
    route: Route,
    query: Query,
    body: &[u8],
) -> Result<Response, Status> {
    let aggregated = discovery::wants_aggregated(header(&parts.headers, &ACCEPT));
    match route {
        Route::Health => Ok(respond::with_type(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "ok",
        )),
        Route::Resource(target) => resource(shared, parts, user, target, query, body),
        Route::Unknown => Ok(respond::unknown_path()),
        Route::OpenApiV2 => Ok(openapi::version_2()),
        Route::Version => Ok(respond::json(StatusCode::OK, &discovery::version())),
        Route::CoreVersions => Ok(discovery::core_versions(&shared.registry(), aggregated)),
        Route::Groups => Ok(discovery::group_list(&shared.registry(), aggregated)),
        Route::Group(group) => Ok(discovery::group(&shared.registry(), &group)),
        Route::Resources(group, version) => Ok(discovery::resource_list(
            &shared.registry(),
            &group,
            &version,
        )),
        Route::OpenApiV3(None) => Ok(openapi::index(&shared.registry())),
        Route::OpenApiV3(Some((group, version))) => {
            Ok(openapi::document(&shared.registry(), &group, &version))
        }
    }
}

fn resource(
    shared: &Arc<Shared>,
    parts: &http::request::Parts,
    user: &Token,
    target: Target,
    query: Query,
    body: &[u8],
) -> Result<Response, Status> {
    let found = shared.registry().find(&target.group, &target.resource);
    let Some((resource, version)) = found.and_then(|resource| {
        let version = resource.version(&target.version)?.clone();
        // A namespaced kind has its objects below a namespace, any other has not.
        let placed = match (&target.namespace, resource.namespaced) {
            (Some(_), namespaced) => namespaced,
            (None, true) => target.name.is_none(),
            (None, false) => true,
        };
        placed.then_some((resource, version))
    }) else {
        return Ok(respond::unknown_path());
    };
    let watch = query.flag("watch");
    let Some(verb) = route::verb(&parts.method, target.name.is_some(), watch) else {
        return Err(Status::method_not_allowed());
    };
    let call = Call {
        shared,
        resource,
        version,
        target,
        query,
    };
    let content_type = header(&parts.headers, &CONTENT_TYPE);
    let accept = header(&parts.headers, &ACCEPT);
    let include = call.query.get("includeObject");
    let form = Form::negotiate(accept, include, &call.resource, &call.version);
    if content_type.starts_with("application/vnd.kubernetes.protobuf") {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json (kubectl create KIND sends protobuf; kubectl create -f and apply send JSON)";
        return Err(Status::new(415, "UnsupportedMediaType", message));
    }
    if call.resource.review {
        return match verb {
            "create" if call.target.name.is_none() => call.review(user, json(body)?),
            _ => Err(Status::method_not_allowed()),
        };
    }
    if let Some(name) = &call.target.subresource {
        return call.subresource(name, verb, content_type, || json(body));
    }
    match verb {
        "get" => Ok(respond::json(
            StatusCode::OK,
            &form.one(call.shown(&*call.read()?)),
        )),
        "list" => Ok(call.list_response(&call.list()?, &form)),
        "watch" => call.watch(form, header(&parts.headers, &USER_AGENT)),
        "create" if call.target.name.is_none() => call.create(json(body)?),
        "update" => call.replace(Part::Object, json(body)?),
        "patch" => {
            let kind = Kind::of(content_type, &call.resource)?;
            call.patch(Part::Object, kind, &json(body)?)
        }
        "delete" => {
            let options = if body.is_empty() {
                Value::Null
            } else {
                json(body)?
            };
            call.delete(&Options::read(&call, &options)?)
        }
        "deletecollection" => {
            let options = if body.is_empty() {
                Value::Null
            } else {
                json(body)?
            };
            call.delete_collection(&Options::read(&call, &options)?)
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// A header as text; empty if it is missing.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body)
        .map_err(|why| Status::bad_request(format!("the object provided is unrecognized: {why}")))
}
