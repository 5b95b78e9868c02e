//! Who gets in where: every route of the OpenAPI document, for every kind of caller. A route that is added is covered without
//! being named here: its address, its bodies and the role that it needs come from the document, which takes the role from the
//! handler's signature.

use crate::callers::{Someone, Standing, Tokens, everyone};
use crate::client::Client;
use crate::harness::Harness;
use crate::twin::{self, Twin};
use rejoinder_app::flow::activity::Subject;
use rejoinder_app::flow::notices::{self, Notice};
use rejoinder_app::http::openapi;
use rejoinder_app::model::{NoticeKind, Role};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const NOT_THERE: Uuid = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_dead);

/// One operation of the document.
struct Route {
    method: String,
    path: String,
    needs: Needs,
    by_token: bool,
    /// The team is named in the query.
    team_in_query: bool,
    body: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    SignIn,
    Role(Role),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Status(u16),
    /// The role is too low; where the thing itself is not there, that.
    TooLow,
    /// Whatever comes: it got in.
    In,
    /// Nothing but that the server stands.
    Answer,
}

/// The team under test, everything that belongs to it, and the same again in another team.
struct World {
    harness: Harness,
    everyone: Vec<Someone>,
    twin: Twin,
}

fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes.push(Route::read(&document, method, path, operation));
        }
    }
    // What takes things away comes last, the inner before the outer.
    routes.sort_by_key(|route| (route.method == "DELETE", usize::MAX - route.path.matches('/').count()));
    routes
}

impl Route {
    fn is(&self, (method, path): (&str, &str)) -> bool {
        self.method == method && self.path == path
    }

    fn read(document: &Value, method: &str, path: &str, operation: &Value) -> Self {
        let needs = match operation["x-role"].as_str().unwrap() {
            "none" => Needs::Nothing,
            "caller" => Needs::SignIn,
            role => Needs::Role(role.parse().unwrap()),
        };
        let named = |parameter: &Value| parameter["in"] == "query" && parameter["name"] == "team_id";
        let closed_to_tokens =
            operation["security"].as_array().is_some_and(|any| any.iter().all(|one| one.get("token").is_none()));
        let content = &operation["requestBody"]["content"]["application/json"];
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            needs,
            by_token: !closed_to_tokens,
            team_in_query: operation["parameters"].as_array().is_some_and(|all| all.iter().any(named)),
            body: (!content.is_null()).then(|| with_schema(document, content)),
        }
    }

    /// The address with the team's own things, or with its own but for one place.
    fn address(&self, world: &World, foreign: Option<usize>) -> String {
        let mut before = "";
        let mut number = 0;
        let mut address = String::new();
        for segment in self.path.split('/').skip(1) {
            address.push('/');
            match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some("platform") => address.push_str("reddit"),
                Some(name) => {
                    let own = world.thing(name, before);
                    let id = if foreign == Some(number) { twin::of(own) } else { own };
                    address.push_str(&id.to_string());
                    number += 1;
                }
                None => address.push_str(segment),
            }
            before = segment;
        }
        if self.team_in_query {
            address.push_str(&format!("?team_id={}", world.harness.team_id));
        }
        address
    }

    /// How many things its address names.
    fn things(&self) -> usize {
        self.path.matches('{').count() - usize::from(self.path.contains("{platform}"))
    }

    fn has_all_things(&self, world: &World) -> bool {
        !self.address(world, None).contains(&NOT_THERE.to_string())
    }

    fn team_in_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body["properties"].get("team_id").is_some())
    }

    /// A body that no handler takes, unless only a good one leads to the team.
    fn probe(&self, world: &World) -> String {
        if self.team_in_body() {
            return self.least_body(&[("team_id", json!(world.harness.team_id))]).to_string();
        }
        json!({ "no_such_field": 1 }).to_string()
    }

    /// The fields that must be there, as the example has them, and these.
    fn least_body(&self, fields: &[(&str, Value)]) -> Value {
        let body = self.body.as_ref().unwrap();
        let required: Vec<&str> = body["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut least: Map<String, Value> =
            required.into_iter().map(|name| (name.to_owned(), body["example"][name].clone())).collect();
        least.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(least)
    }

    /// Fields of the body that name a thing by its id.
    fn id_fields(&self) -> Vec<String> {
        let fields = self.body.iter().flat_map(|body| body["properties"].as_object().into_iter().flatten());
        fields.filter(|(_, schema)| schema["format"] == "uuid").map(|(name, _)| name.clone()).collect()
    }

    async fn tried_by(&self, someone: &Someone, address: &str, world: &World) -> (u16, String) {
        let takes_body = !matches!(self.method.as_str(), "GET" | "DELETE");
        someone.ask(&self.method, address, takes_body.then(|| self.probe(world))).await
    }

    fn expected(&self, someone: &Someone) -> Expected {
        let needed = match self.needs {
            Needs::Nothing => return Expected::Answer,
            Needs::SignIn => None,
            Needs::Role(role) => Some(role),
        };
        let is_of_a_team = self.things() > 0 || self.team_in_query || self.team_in_body();
        match someone.standing {
            Standing::Nobody => Expected::Status(401),
            Standing::Elsewhere => Expected::Status(403),
            Standing::Stranger if needed.is_some() && is_of_a_team => Expected::Status(404),
            Standing::Token(_) if !self.by_token => Expected::Status(403),
            Standing::Member(role) | Standing::Token(role) if needed.is_some_and(|needed| role < needed) => {
                Expected::TooLow
            }
            _ => Expected::In,
        }
    }
}

/// The example beside the fields of the body.
fn with_schema(document: &Value, content: &Value) -> Value {
    let schema = match content["schema"]["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => &content["schema"],
    };
    json!({ "properties": schema["properties"], "required": schema["required"], "example": content["example"] })
}

impl World {
    async fn start() -> Self {
        let harness = Harness::start().await;
        harness.ready_reply("Two steps finer.").await;
        // One that nobody has answered yet.
        harness.incoming("Which burrs?").await;
        let admin = Client::signed_in(&harness).await;
        let team = harness.team_id;
        let (status, intent) = admin.post(&format!("/api/teams/{team}/intents"), &json!({ "name": "Thanks" })).await;
        assert_eq!(status, 201, "{intent}");
        let variations = format!("/api/intents/{}/variations", intent["id"].as_str().unwrap());
        assert_eq!(admin.post(&variations, &json!({ "text": "Any time!" })).await.0, 201);
        let watch = json!({ "integration_id": harness.integration_id, "kind": "community", "text": "coffee" });
        assert_eq!(admin.post(&format!("/api/teams/{team}/watches"), &watch).await.0, 201);
        // A null of JSON would be copied as one of SQL.
        sqlx::query("update watches set cursor = '{}'").execute(harness.pool()).await.unwrap();
        harness.platform.add_comment("silent_one", &harness.post, "Don't reply to me.");
        harness.poll().await;
        sqlx::query(
            "insert into rule_pauses (id, team_id, integration_id, community, reason, paused_at) values ($1, $2, $3, 'r/coffee', 'removals', $4)",
        )
        .bind(harness.app.moment().id())
        .bind(team)
        .bind(harness.integration_id)
        .bind(harness.now())
        .execute(harness.pool())
        .await
        .unwrap();
        let notice = Notice {
            kind: NoticeKind::SendUnknown,
            subject: Subject::Team(team),
            text: "Nobody knows whether it stands there.".to_owned(),
        };
        notices::raise(&mut *harness.conn().await, &harness.app.moment(), team, notice).await.unwrap();
        let tokens = Tokens::make(&harness).await;
        let twin = Twin::make(&harness).await;
        let everyone = everyone(&harness, &twin, &admin, tokens).await;
        let world = Self { harness, everyone, twin };
        // Its first use is written down; from then on asking changes nothing by itself.
        for someone in &world.everyone {
            someone.ask("GET", "/api/me", None).await;
        }
        world
    }

    /// The team's own thing that a parameter of a path, or a field of a body, means.
    fn thing(&self, name: &str, before: &str) -> Uuid {
        match name {
            "team_id" => self.harness.team_id,
            "id" => self.twin.own(before).unwrap_or(NOT_THERE),
            _ => self.twin.own(&format!("{}s", name.trim_end_matches("_id"))).unwrap_or(NOT_THERE),
        }
    }

    fn who(&self, name: &str) -> &Someone {
        self.everyone.iter().find(|someone| someone.name == name).unwrap()
    }
}

/// Anybody may leave a team; removing somebody else is for admins, which the handler alone can tell (`members.rs` tests it).
const LEAVING: (&str, &str) = ("DELETE", "/api/teams/{team_id}/members/{user_id}");

#[tokio::test]
async fn every_route_lets_in_who_may_and_nobody_else() {
    let world = World::start().await;
    let mut surprises = Vec::new();
    let (mut asked, mut refused) = (0, 0);
    let routes = routes();
    for let_in in [false, true] {
        for route in &routes {
            let address = route.address(&world, None);
            let before = world.twin.fingerprint(&world.harness).await;
            for someone in &world.everyone {
                let expected = route.expected(someone);
                let to_be_refused = matches!(expected, Expected::Status(_) | Expected::TooLow);
                if let_in == to_be_refused {
                    continue;
                }
                let (status, told) = route.tried_by(someone, &address, &world).await;
                asked += 1;
                let fits = match expected {
                    Expected::Status(expected) => status == expected,
                    Expected::TooLow => status == 403 || status == 404 && !route.has_all_things(&world),
                    Expected::Answer => status < 500,
                    Expected::In if route.is(LEAVING) => !matches!(status, 401 | 500..),
                    // What was deleted by the one before is not there.
                    Expected::In if route.method == "DELETE" => !matches!(status, 401 | 403 | 500..),
                    Expected::In if !route.has_all_things(&world) => !matches!(status, 401 | 403 | 500..),
                    Expected::In => !matches!(status, 401 | 403 | 404 | 500..),
                };
                if !fits {
                    let (method, path) = (&route.method, &route.path);
                    surprises
                        .push(format!("{method} {path}, {}: {status}, expected {expected:?}: {told}", someone.name));
                }
                refused += usize::from(to_be_refused);
            }
            if !let_in && before != world.twin.fingerprint(&world.harness).await {
                surprises.push(format!("{} {}: somebody who was refused changed something", route.method, route.path));
            }
        }
    }
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
    assert!(asked >= routes.len() * world.everyone.len() && refused * 3 > asked, "{asked} asked, {refused} refused");
    println!("{} routes, {} callers, {asked} requests, {refused} to be refused", routes.len(), world.everyone.len());
    end(world).await;
}

#[tokio::test]
async fn another_teams_things_are_not_there_in_whatever_place_of_a_request_their_ids_stand() {
    let world = World::start().await;
    let admin = world.who("admin");
    let mut surprises = Vec::new();
    let mut asked = 0;
    for route in routes().iter().filter(|route| matches!(route.needs, Needs::Role(_))) {
        let before = world.twin.fingerprint(&world.harness).await;
        let mut tried = Vec::new();
        for place in 0..route.things() {
            let address = route.address(&world, Some(place));
            let mut answer = route.tried_by(admin, &address, &world).await;
            if answer.0 == 422 {
                // The body was looked at first: with a good one the id must be.
                let good = route.body.as_ref().map_or_else(|| json!({}), |_| route.least_body(&[]));
                answer = admin.ask(&route.method, &address, Some(good.to_string())).await;
            }
            tried.push((format!("place {place}"), answer, &[404][..]));
        }
        let address = route.address(&world, None);
        let fields = route.id_fields();
        for field in &fields {
            let things =
                fields.iter().map(|name| (name.as_str(), world.thing(name, ""))).filter(|(_, id)| *id != NOT_THERE);
            let mut ids: Vec<(&str, Value)> = things.map(|(name, id)| (name, json!(id))).collect();
            ids.push((field, json!(twin::of(world.thing(field, "")))));
            let (field, body) = (field.clone(), route.least_body(&ids).to_string());
            tried.push((field, admin.ask(&route.method, &address, Some(body)).await, &[404, 422][..]));
        }
        asked += tried.len();
        for (place, (status, told), expected) in tried {
            if !expected.contains(&status) {
                surprises.push(format!("{} {}, {place}: {status}: {told}", route.method, route.path));
            }
        }
        if before != world.twin.fingerprint(&world.harness).await {
            surprises.push(format!("{} {}: something changed", route.method, route.path));
        }
    }
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
    assert!(asked > 40, "{asked} places");
    end(world).await;
}

async fn end(world: World) {
    world.harness.run_due().await;
    world.twin.remove(&world.harness).await;
    world.harness.finish().await;
}
