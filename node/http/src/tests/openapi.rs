//! The document says what the router does, and the answers are what the document says.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{Face, SECRET};

/// The paths in the table of routes.
fn routed() -> BTreeSet<String> {
    let source = include_str!("../router.rs");
    let paths = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    paths.filter(|path| path.starts_with("/api/")).map(str::to_owned).collect()
}

async fn document(face: &Face) -> Value {
    let answer = face.get("/api/v1/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
    serde_json::from_slice(&answer.body).unwrap()
}

fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect();
    document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// A path with something in the place of its parameters.
fn concrete(path: &str) -> String {
    path.replace("{id}", "b1").replace("{gav}", "org.acme:lib:1.0").replace("{sha256}", &"ab".repeat(32))
}

#[tokio::test]
async fn every_route_is_in_the_document_with_its_methods_and_nothing_else_is() {
    let face = Face::new();
    let operations = operations(&document(&face).await);
    assert_eq!(operations.keys().cloned().collect::<BTreeSet<_>>(), routed());
    for (path, documented) in &operations {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let headers = [("authorization", format!("Bearer {SECRET}")), ("content-type", "application/json".into())];
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let status = face.ask(method, &concrete(path), &headers, "{}").await.status;
            let known = status != StatusCode::METHOD_NOT_ALLOWED && status != StatusCode::NOT_FOUND;
            assert_eq!(known, documented.contains(&method.to_lowercase()), "{method} {path}: {status}");
        }
    }
}

/// A validator for what stands at a place of the document.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let root = json!({ "allOf": [schema], "components": document["components"] });
    jsonschema::draft202012::new(&root).unwrap()
}

#[track_caller]
fn validate(document: &Value, schema: &Value, instance: &Value) {
    let errors: Vec<_> = validator(document, schema).iter_errors(instance).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{schema:#}\n{instance:#}");
}

/// Bodies of calls that are taken.
fn body(path: &str) -> &'static str {
    match path {
        "/api/v1/builds" => r#"{"coordinates":["a:b:1"]}"#,
        "/api/v1/builds/{id}/signature" => r#"{"key":"aa","signature":"bb"}"#,
        "/api/v1/namespaces" => r#"{"group":"a","repositories":[]}"#,
        "/api/v1/specifications/approve" => r#"{"specification":"text"}"#,
        "/api/v1/images/approve" | "/api/v1/images/fetch" => r#"{"image":"ff"}"#,
        "/api/v1/withdrawals" | "/api/v1/blocks" => r#"{"coordinates":"a:b:1","reason":"x"}"#,
        other => panic!("a call without an example: {other}"),
    }
}

#[tokio::test]
async fn answers_and_bodies_are_what_the_document_says() {
    let face = Face::new();
    let document = document(&face).await;
    for (path, methods) in operations(&document) {
        for method in methods {
            let operation = &document["paths"][&path][&method];
            let answer = if method == "post" {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                validate(&document, schema, &serde_json::from_str(body(&path)).unwrap());
                face.post(&concrete(&path), body(&path)).await
            } else {
                face.get(&concrete(&path)).await
            };
            let response = &operation["responses"][answer.status.as_str()];
            assert!(response.is_object(), "{method} {path} says {}, which is not in the document", answer.status);
            let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
            let schema = &response["content"][kind]["schema"];
            assert!(schema.is_object(), "{method} {path} answers with {kind}: {response:#}");
            if kind.ends_with("json") {
                validate(&document, schema, &serde_json::from_slice(&answer.body).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn refusals_are_in_the_document_too() {
    let face = Face::new();
    let document = document(&face).await;
    let calls = [
        ("GET", "/api/v1/builds/{id}", "/api/v1/builds/none", vec![]),
        ("GET", "/api/v1/inspect/{gav}", "/api/v1/inspect/nonsense", vec![]),
        ("GET", "/api/v1/policy/{gav}", "/api/v1/policy/a:b:1?policy=none", vec![]),
        ("GET", "/api/v1/policy/{gav}", "/api/v1/policy/a:b:1?files=c-1.jar", vec![]),
        ("GET", "/api/v1/served", "/api/v1/served?since=yesterday", vec![]),
        ("GET", "/api/v1/status", "/api/v1/status", vec![("host", "evil.example.org")]),
        ("GET", "/api/v1/status", "/api/v1/status", vec![("origin", "https://evil.example.org")]),
        ("POST", "/api/v1/blocks", "/api/v1/blocks", vec![("content-type", "application/json")]),
    ];
    for (method, path, uri, headers) in calls {
        let answer = face.ask(method, uri, &headers, "{}").await;
        let response = &document["paths"][path][method.to_lowercase()]["responses"][answer.status.as_str()];
        let schema = &response["content"]["application/problem+json"]["schema"];
        assert!(schema.is_object(), "{method} {uri} says {}", answer.status);
        validate(&document, schema, &serde_json::from_slice(&answer.body).unwrap());
    }
    let token = format!("Bearer {SECRET}");
    for (body, kind) in [("{}", "application/json"), ("{}", "text/plain"), ("{", "application/json")] {
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        let answer = face.ask("POST", "/api/v1/blocks", &headers, body).await;
        let response = &document["paths"]["/api/v1/blocks"]["post"]["responses"][answer.status.as_str()];
        assert!(response.is_object(), "{body} of {kind} says {}", answer.status);
    }
}

#[test]
fn a_wrong_answer_is_found() {
    let document = json!({ "components": { "schemas": { "A": { "type": "object", "required": ["x"] } } } });
    let schema = json!({ "$ref": "#/components/schemas/A" });
    assert!(validator(&document, &schema).is_valid(&json!({ "x": 1 })));
    assert!(!validator(&document, &schema).is_valid(&json!({ "y": 1 })));
}
