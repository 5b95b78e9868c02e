//! The OpenAPI document, made from the routes. What holds for every route (path parameters, the session cookie, the errors) is
//! written here once. The copy at the root of the repository is compared by a test and never written by it.

use super::{api, idempotency};
use crate::error::{FieldError, Problem};
use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, License, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

const ABOUT: &str = "JSON in snake_case; request bodies take camelCase names too. Lists take `limit` (1 to 100, default 25) and \
`cursor`, and answer `items` with `next_cursor`. Times are RFC 3339 in UTC. Requests carry the session cookie of the dashboard; \
changing ones must come from a page of this server. 600 requests a minute per caller. Errors are `application/problem+json` \
(RFC 9457); name their `request_id` when you ask for help.";

const SESSION: &str = "session";

/// Pretty JSON in a stable order, with a newline at its end.
pub fn document() -> String {
    let mut text = serde_json::to_string_pretty(&complete()).expect("a document of plain values is always valid JSON");
    text.push('\n');
    text
}

fn complete() -> OpenApi {
    let mut document = api::Described::openapi();
    document.info = InfoBuilder::new()
        .title("Rejoinder API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    components
        .responses
        .extend(ERRORS.iter().map(|(_, name, meaning)| ((*name).to_owned(), RefOr::T(problem(meaning)))));
    components.security_schemes.insert(
        SESSION.to_owned(),
        RefOr::T(SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "rejoinder_session",
            "Set by signing in on the dashboard. Over https its name is `__Host-rejoinder_session`.",
        )))),
    );
    document.security = Some(vec![SecurityRequirement::new(SESSION, Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            add_path_parameters(path, operation);
            if method == "post" && idempotency::keeps(path) {
                operation.parameters.get_or_insert_default().push(idempotency_key().into());
            }
            add_errors(method, path, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("put", &mut item.put),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

fn add_path_parameters(path: &str, operation: &mut Operation) {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let own: Vec<RefOr<Parameter>> = names.map(|name| path_parameter(name).into()).collect();
    if !own.is_empty() {
        operation.parameters.get_or_insert_default().splice(0..0, own);
    }
}

fn path_parameter(name: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let schema = match name {
        "platform" => text.examples([json!("reddit")]),
        _ => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema.build()))
        .build()
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Sent again within 24 hours with the same key and body, it is carried out once and answered alike.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).build()))
        .build()
}

/// Status, name in the document, meaning.
const ERRORS: &[(&str, &str, &str)] = &[
    ("400", "NotReadable", "The body is not valid JSON."),
    ("401", "NotSignedIn", "Not signed in."),
    ("403", "NotAllowed", "The role is too low, or the request comes from another site."),
    ("404", "NotFound", "There is no such thing, or it is another team's."),
    ("409", "NotPossible", "The state does not allow it; `detail` says why."),
    ("410", "Gone", "It was there and works no more; `detail` says why."),
    ("413", "TooLarge", "The body has more than 256 KiB."),
    ("415", "NotJson", "The body is not called JSON."),
    ("422", "NotValid", "A field is wrong or missing; `errors` names it."),
    ("429", "TooMany", "Too many requests; `Retry-After` says when to go on."),
    ("500", "OurMistake", "Something broke on our side."),
    ("503", "NotNow", "Not possible right now; `Retry-After` says when to try again."),
];

/// The errors that any route of this kind can answer.
fn add_errors(method: &str, path: &str, operation: &mut Operation) {
    let open = operation.security.is_some();
    let by_link = path.starts_with("/api/invitations/");
    let body = operation.request_body.is_some();
    let query = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query)),
    );
    for (status, name, _) in ERRORS {
        let possible = match *status {
            "400" | "413" | "415" => body,
            "401" | "403" => !open,
            "404" => path.contains('{') || path.ends_with("/complete") || by_link,
            "410" => by_link,
            "409" => method != "get" || path.ends_with("/oauth/start"),
            "422" => body || query || method == "post",
            _ => true,
        };
        if possible {
            let response = RefOr::Ref(Ref::from_response_name(*name));
            operation.responses.responses.entry((*status).to_owned()).or_insert(response);
        }
    }
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// One line of the page for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub method: String,
    pub path: String,
    pub summary: String,
    /// Statuses, the good ones first.
    pub answers: String,
}

/// All routes, grouped by their tag.
pub(super) fn by_tag() -> Vec<(String, Vec<Route>)> {
    let mut groups: std::collections::BTreeMap<String, Vec<Route>> = std::collections::BTreeMap::new();
    for (path, item) in &mut complete().paths.paths {
        for (method, operation) in operations(item) {
            let tag = operation.tags.as_ref().and_then(|tags| tags.first()).cloned().unwrap_or_default();
            let statuses: Vec<&str> = operation.responses.responses.keys().map(String::as_str).collect();
            groups.entry(tag).or_default().push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                summary: operation.summary.clone().unwrap_or_default(),
                answers: statuses.join(", "),
            });
        }
    }
    groups.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_committed_document_is_the_one_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == document(), "openapi.json is old; write it anew: rejoinder openapi > openapi.json");
    }

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let served: BTreeSet<(String, String)> =
            api::TABLE.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
        let mut described = BTreeSet::new();
        for (path, item) in &mut complete().paths.paths {
            described.extend(operations(item).map(|(method, _)| (method.to_owned(), path.clone())));
        }
        assert_eq!(served, described);
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_they_do() {
        let mut seen = BTreeSet::new();
        for (path, item) in &mut complete().paths.paths {
            for (method, operation) in operations(item) {
                assert!(operation.summary.is_some(), "{method} {path} has no summary");
                assert!(seen.insert(operation.operation_id.clone().unwrap()), "{method} {path}: name taken");
            }
        }
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let found = document.pointer(reference.trim_start_matches('#'));
            assert!(found.is_some(), "{reference} leads nowhere");
        }
    }

    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| collect(field, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
}
