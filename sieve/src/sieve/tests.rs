use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const WANTED: Fields = Fields::Of(&[
    ("name", Fields::All),
    (
        "status",
        Fields::Of(&[
            ("phase", Fields::All),
            ("ports", Fields::Of(&[("n", Fields::All)])),
        ]),
    ),
]);

/// The parts of a list that arrives in pieces of these sizes, then whole.
fn sift(fields: Fields, text: &str, cuts: &[usize]) -> Result<(Vec<Value>, Vec<Value>), Malformed> {
    let mut sieve = Sieve::new(fields);
    let (mut metadata, mut items) = (Vec::new(), Vec::new());
    let mut part = |part: Part<'_>| {
        match part {
            Part::Metadata(json) => metadata.push(serde_json::from_slice(json).unwrap()),
            Part::Item(json) => items.push(serde_json::from_slice(json).map_err(|_| Malformed)?),
        }
        Ok(())
    };
    let mut rest = text.as_bytes();
    for cut in cuts {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        sieve.feed(piece, &mut part)?;
        rest = more;
    }
    sieve.feed(rest, &mut part)?;
    sieve.end()?;
    Ok((metadata, items))
}

/// What the sieve should give of a value, the slow way.
fn reference(fields: Fields, value: &Value) -> Option<Value> {
    match (fields, value) {
        (Fields::All, value) => Some(value.clone()),
        (Fields::Of(_), Value::Null) => None,
        (Fields::Of(members), Value::Object(object)) => {
            let kept = object.iter().filter_map(|(key, value)| {
                let (name, fields) = Fields::member(members, key.as_bytes())?;
                Some((name.to_owned(), reference(fields, value)?))
            });
            Some(Value::Object(kept.collect::<Map<_, _>>()))
        }
        (Fields::Of(_), Value::Array(elements)) => {
            let kept = elements.iter().filter_map(|value| reference(fields, value));
            Some(Value::Array(kept.collect()))
        }
        (Fields::Of(_), value) => Some(value.clone()),
    }
}

#[test]
fn wanted_fields_are_kept() {
    let text = r#" { "kind" : "PodList", "metadata": {"resourceVersion":"1", "continue":"abc","remainingItemCount":7},
        "items": [ {"spec":{"name":"no"}, "name" : "a\"\\é", "status":{"phase":"Running","x":[1,{"phase":2}],"ports":[{"n":1,"m":2},null,{"m":3}]}},
                   {"name":null,"status":null}, null, {} ] , "more": [[]] }
"#;
    let items = [
        json!({"name": "a\"\\é", "status": {"phase": "Running", "ports": [{"n": 1}, {}]}}),
        json!({"name": null}),
        json!({}),
    ];
    let every_byte = vec![1; text.len()];
    for cuts in [&[][..], &every_byte] {
        let (metadata, found) = sift(WANTED, text, cuts).unwrap();
        assert_eq!(metadata, [json!({"continue": "abc"})]);
        assert_eq!(found, items);
    }
    let whole = sift(
        Fields::All,
        r#"{"items":[{"a":[1,2]},"b"],"metadata":null}"#,
        &[],
    )
    .unwrap();
    assert_eq!(whole, (vec![], vec![json!({"a": [1, 2]}), json!("b")]));
}

#[test]
fn a_list_may_be_empty() {
    for text in [
        r#"{"items":[]}"#,
        r#"{"items":null}"#,
        r#"{"metadata":{},"items":[]}"#,
        r#"{"items": [ null ] }"#,
    ] {
        let (_, items) = sift(WANTED, text, &[]).unwrap();
        assert_eq!(items, Vec::<Value>::new(), "{text}");
    }
}

#[test]
fn what_is_no_list_is_refused() {
    let deep = format!(r#"{{"items":[{{"status":{}"#, "[".repeat(DEEPEST));
    for text in [
        "",
        "<html>",
        "[]",
        "null",
        r#"{"kind":"Status"}"#,
        r#"{"items":[]"#,
        r#"{"items":[{"name":"a"}"#,
        r#"{"items":[{"name":"a"]}"#,
        r#"{"items":[{"name" "a"}]}"#,
        r#"{"items":[{"name":}]}"#,
        r#"{"items":[{"name":"a",}]}"#,
        r#"{"items":[{"name":"a"},]}"#,
        r#"{"items":[{"name":"a"}}"#,
        r#"{"items":[,{"name":"a"}]}"#,
        r#"{"items":{"name":"a"}}"#,
        r#"{"items":"a"}"#,
        r#"{"items":[],"items":[]}"#,
        r#"{"items":[]}x"#,
        r#"{"items":[]}{}"#,
        r#"{items:[]}"#,
        &deep,
    ] {
        assert_eq!(sift(WANTED, text, &[]), Err(Malformed), "{text}");
    }
}

#[test]
fn no_object_is_larger_than_any() {
    let text = format!(
        r#"{{"items":[{{"x":"{0}","name":"{0}"}}]}}"#,
        "x".repeat(LARGEST_OBJECT)
    );
    assert_eq!(sift(WANTED, &text, &[]), Err(Malformed));
    let other = text.replace("name", "other");
    assert_eq!(sift(WANTED, &other, &[]).unwrap().1, [json!({})]);
}

/// Objects with the wanted keys and others, at every level.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "[a-c\"\\\\{}\\[\\],:é\\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let key = prop_oneof![
            Just("name".to_owned()),
            Just("status".to_owned()),
            Just("phase".to_owned()),
            Just("ports".to_owned()),
            Just("n".to_owned()),
            "[a-z\"\\\\]{0,70}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn as_decoding_it_all_and_dropping_the_rest(
        items in proptest::collection::vec(any_value(), 0..5),
        cuts in proptest::collection::vec(1_usize..40, 0..60),
        pretty: bool,
        all: bool,
    ) {
        let list = json!({"kind": "List", "metadata": {"continue": "next"}, "items": items});
        let text = if pretty { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) }.unwrap();
        let fields = if all { Fields::All } else { WANTED };
        let expected: Vec<Value> = items.iter().filter_map(|item| reference(fields, item)).collect();
        let (metadata, found) = sift(fields, &text, &cuts).unwrap();
        prop_assert_eq!(metadata, [json!({"continue": "next"})]);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn nonsense_never_panics(text in "[{}\\[\\]\",:a1n \\\\]{0,60}", cuts in proptest::collection::vec(1_usize..9, 0..9)) {
        let lists = [text.clone(), format!("{{\"items\":[{{\"status\":{text}"), format!("{{\"items\":[{text}]}}")];
        for list in lists {
            // Whether it is accepted or not, what comes out is JSON, or refused as a part of the list.
            let mut sieve = Sieve::new(WANTED);
            let mut rest = list.as_bytes();
            for cut in cuts.iter().chain([&usize::MAX]) {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                if sieve.feed(piece, &mut |_| Ok(())).is_err() {
                    break;
                }
                rest = more;
            }
        }
    }
}
