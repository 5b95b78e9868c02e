//! The OpenAPI document, made from the routes. What holds for every route (path parameters, the session cookie, the errors) is
//! written here once. The copy at the root of the repository is compared by a test and never written by it.

mod examples;
mod listing;

pub(super) use listing::{Route, by_tag};

use super::auth::Demand;
use super::{api, idempotency};
use crate::error::{FieldError, Problem};
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, InfoBuilder, License, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

const ABOUT: &str = "JSON in snake_case; request bodies take camelCase names too. Lists take `limit` (1 to 100, default 25) and \
`cursor`, and answer `items` with `next_cursor`. Times are RFC 3339 in UTC. Programs send `Authorization: Bearer rjn_...` with an API \
token of the dashboard's page API tokens; it counts for the lesser of its own role and its maker's. Our own pages send the session \
cookie, which counts on no other origin. `x-role` names the least role of each route: `none` needs no sign-in, `caller` any. \
600 requests a minute per caller. Errors are `application/problem+json` \
(RFC 9457); name their `request_id` when you ask for help.";

const SESSION: &str = "session";
const TOKEN: &str = "token";

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
    components.responses.extend(
        ERRORS.iter().map(|(status, name, meaning)| ((*name).to_owned(), RefOr::T(problem(status, name, meaning)))),
    );
    components.security_schemes.insert(
        SESSION.to_owned(),
        RefOr::T(SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "rejoinder_session",
            "Set by signing in on the dashboard. Over https its name is `__Host-rejoinder_session`.",
        )))),
    );
    components.security_schemes.insert(
        TOKEN.to_owned(),
        RefOr::T(SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("rjn_...")
                .description(Some("An API token, made on the dashboard or with `POST /api/tokens`."))
                .build(),
        )),
    );
    document.security = Some(vec![needs(SESSION), needs(TOKEN)]);
    let demands = api::demands();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let demand = demands.iter().find(|(of_method, of_path, _)| *of_method == method && of_path == path);
            let demand = demand.map(|(_, _, demand)| *demand).unwrap_or_default();
            add_demand(operation, demand);
            add_path_parameters(path, operation);
            if method == "post" && idempotency::keeps(path) {
                operation.parameters.get_or_insert_default().push(idempotency_key().into());
            }
            add_errors(method, path, operation, demand);
        }
    }
    add_examples(&mut document);
    document
}

fn needs(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, Vec::<String>::new())
}

/// Who may call, as the handler's signature says it. One extension alone: several would stand in no fixed order.
fn add_demand(operation: &mut Operation, demand: Demand) {
    operation.extensions = Some(Extensions::from_iter([("x-role", demand.name())]));
    operation.security = match demand {
        Demand { signed_in: false, .. } => Some(vec![SecurityRequirement::default()]),
        Demand { in_person: true, .. } => Some(vec![needs(SESSION)]),
        Demand { .. } => None,
    };
}

/// The fields without an example of their own.
fn add_examples(document: &mut OpenApi) -> examples::Missing {
    let read = serde_json::to_value(&*document).expect("a document of plain values is always valid JSON");
    let mut missing = examples::Missing::new();
    let mut fill = |at: &str, kind: &str, content: &mut RefOr<Content>| {
        let RefOr::T(content) = content else { return };
        let Some(schema) = &content.schema else { return };
        if kind.ends_with("json") && content.example.is_none() && content.examples.is_empty() {
            content.example = Some(examples::of(&read, &json!(schema), at, &mut missing));
        }
    };
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let at = format!("{method} {path}");
            for (kind, content) in contents(operation) {
                fill(&at, kind, content);
            }
        }
    }
    missing
}

/// Body and answers, each with its media type.
fn contents(operation: &mut Operation) -> impl Iterator<Item = (&String, &mut RefOr<Content>)> {
    let body = operation.request_body.iter_mut().filter_map(|body| match body {
        RefOr::T(body) => Some(body.content.iter_mut()),
        RefOr::Ref(_) => None,
    });
    let answers = operation.responses.responses.values_mut().filter_map(|response| match response {
        RefOr::T(response) => Some(response.content.iter_mut()),
        RefOr::Ref(_) => None,
    });
    body.flatten().chain(answers.flatten())
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
    ("412", "Stale", "Somebody changed it since; the answer shows what stands there."),
    ("413", "TooLarge", "The body has more than 256 KiB."),
    ("415", "NotJson", "The body is not called JSON."),
    ("422", "NotValid", "A field is wrong or missing; `errors` names it."),
    ("429", "TooMany", "Too many requests; `Retry-After` says when to go on."),
    ("500", "OurMistake", "Something broke on our side."),
    ("503", "NotNow", "Not possible right now; `Retry-After` says when to try again."),
];

/// The errors that any route of this kind can answer.
fn add_errors(method: &str, path: &str, operation: &mut Operation, demand: Demand) {
    let by_link = path.starts_with("/api/invitations/");
    let body = operation.request_body.is_some();
    let query = operation.parameters.iter().flatten().any(
        |parameter| matches!(parameter, RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query)),
    );
    let takes_if_match =
        operation.parameters.iter().flatten().any(
            |parameter| matches!(parameter, RefOr::T(parameter) if parameter.name.eq_ignore_ascii_case("if-match")),
        );
    for (status, name, _) in ERRORS {
        let possible = match *status {
            "400" | "413" | "415" => body || method == "post",
            "401" => demand.signed_in || demand.looks_at_credential,
            "403" => demand.signed_in,
            "412" => takes_if_match,
            "404" => path.contains('{') || path.ends_with("/complete") || by_link || demand.role.is_some(),
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

fn problem(status: &str, name: &str, description: &str) -> Response {
    let mut content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    content.example = Some(json!({
        "type": format!("/problems/{}", kebab(name)),
        "title": description,
        "status": status.parse::<u16>().unwrap_or_default(),
        "detail": description,
        "request_id": "019cae2c5f807c3e9a513d2b8c4f6a10",
    }));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// "NotSignedIn" as "not-signed-in".
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for sign in name.chars() {
        if sign.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(sign.to_lowercase());
    }
    text
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
    fn every_field_that_is_text_shows_an_example() {
        let mut document = complete();
        for item in document.paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                for (_, content) in contents(operation) {
                    if let RefOr::T(content) = content {
                        content.example = None;
                    }
                }
            }
        }
        let missing: BTreeSet<String> = add_examples(&mut document).into_iter().collect();
        assert!(missing.is_empty(), "give these an example, as #[schema(example = \"...\")]: {missing:#?}");
    }

    /// What anybody may rely on, route by route: a new one is held to it without being named here.
    #[test]
    fn every_route_says_who_may_call_what_goes_in_what_comes_out_and_what_can_go_wrong() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                for field in ["operationId", "summary", "x-role"] {
                    assert!(operation[field].as_str().is_some_and(|text| !text.is_empty()), "{at}: no {field}");
                }
                assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}: one tag");
                let body = &operation["requestBody"]["content"];
                assert!(
                    body.as_object().is_none_or(|kinds| kinds.values().all(|kind| !kind["example"].is_null())),
                    "{at}: a body without example"
                );
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{at}: no good answer");
                for (status, answer) in answers {
                    assert!(
                        answer["$ref"].is_string() || answer["description"].is_string(),
                        "{at} {status}: no meaning"
                    );
                    for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                        let shown =
                            !kind.ends_with("json") || !content["example"].is_null() || path.ends_with("openapi.json");
                        assert!(shown, "{at} {status}: no example");
                    }
                }
                let mut expected = vec!["429", "500"];
                expected.extend((operation["x-role"] != "none").then_some(["401", "403"]).into_iter().flatten());
                expected.extend((!body.is_null()).then_some(["400", "413", "415", "422"]).into_iter().flatten());
                for status in expected {
                    assert!(answers.contains_key(status), "{at}: {status} is not told");
                }
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
