//! Laws of the store, over random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..6_u8, 0..3_u8).prop_map(|(name, value)| Step::Put(name, value)),
        4 => (0..6_u8).prop_map(Step::Remove),
        1 => Just(Step::Compact),
    ];
    proptest::collection::vec(step, 0..40)
}

fn maps() -> Collection {
    Collection {
        group: String::new(),
        resource: "configmaps".to_owned(),
    }
}

fn key(name: u8) -> Key {
    Key {
        collection: maps(),
        namespace: format!("ns{}", name % 2),
        name: format!("c{name}"),
    }
}

fn store(changes: usize) -> Store {
    Store::new(Limits {
        objects: 100,
        changes,
    })
}

fn take(store: &Store, step: &Step) {
    match step {
        Step::Put(name, value) => {
            let object = json!({"metadata": {"name": format!("c{name}")}, "data": value});
            store
                .write(false, |tx| tx.put(&key(*name), object))
                .unwrap();
        }
        Step::Remove(name) => {
            store.write(false, |tx| Ok(tx.remove(&key(*name)))).unwrap();
        }
        Step::Compact => store.compact(),
    }
}

type Contents = BTreeMap<Key, Arc<Value>>;

fn whole() -> Part<'static> {
    Part {
        after: None,
        wanted: &|_| true,
        limit: usize::MAX,
        count_rest: true,
    }
}

fn contents(store: &Store, at: Option<u64>) -> Result<Contents, TooOld> {
    let page = store.page(&maps(), None, at, &whole())?;
    Ok(page.objects.into_iter().collect())
}

proptest! {
    /// What a list and the watch after it show together is what is there.
    #[test]
    fn replaying_the_log_on_a_list_rebuilds_the_store(before in steps(), after in steps(), batch in 1..5_usize) {
        let store = store(1000);
        before.iter().for_each(|step| take(&store, step));
        let (list, version) = store.list(&maps(), None);
        let mut replayed: Contents = list.into_iter().collect();
        after.iter().filter(|step| !matches!(step, Step::Compact)).for_each(|step| take(&store, step));
        let mut seen = version;
        loop {
            let (changes, reached) = store.changes(&maps(), None, seen, batch).unwrap();
            if changes.is_empty() {
                break;
            }
            for change in changes {
                prop_assert!(change.version > seen);
                seen = change.version;
                prop_assert_eq!(replayed.get(&change.key), change.old.as_ref());
                match change.new {
                    Some(new) => replayed.insert(change.key, new),
                    None => replayed.remove(&change.key),
                };
            }
            seen = reached;
        }
        prop_assert_eq!(seen, store.version());
        prop_assert_eq!(replayed, contents(&store, None).unwrap());
    }

    /// A list at an old version is the list of that time, or refused.
    #[test]
    fn an_old_version_is_shown_as_it_was_or_not_at_all(history in steps(), remembered in 1..20_usize) {
        let store = store(remembered);
        let mut known = vec![(store.version(), contents(&store, None).unwrap())];
        let mut oldest = 0;
        for step in &history {
            let before = store.version();
            take(&store, step);
            prop_assert!(store.version() >= before);
            if matches!(step, Step::Compact) {
                oldest = store.version();
            }
            known.push((store.version(), contents(&store, None).unwrap()));
        }
        for (version, expected) in known {
            match contents(&store, Some(version)) {
                Ok(found) => prop_assert_eq!(found, expected),
                Err(too_old) => prop_assert!(version < too_old.oldest && too_old.oldest >= oldest),
            }
        }
    }

    /// Every change has a version of its own, greater than all before; what changes nothing has none.
    #[test]
    fn versions_strictly_increase(history in steps()) {
        let store = store(1000);
        for step in &history {
            let (before, had) = (store.version(), contents(&store, None).unwrap());
            take(&store, step);
            let has = contents(&store, None).unwrap();
            prop_assert_eq!(store.version() > before, has != had);
            for (key, object) in has.iter().filter(|(key, object)| had.get(*key) != Some(*object)) {
                prop_assert_eq!(&object["metadata"]["resourceVersion"], &json!(store.version().to_string()), "{:?}", key);
            }
        }
    }

    /// Pages, of whatever size and whatever has happened between them, are the list of the first one.
    #[test]
    fn pages_add_up_to_the_list(before in steps(), after in steps(), limit in 1..4_usize, namespaced in any::<bool>()) {
        let store = store(1000);
        before.iter().for_each(|step| take(&store, step));
        let namespace = namespaced.then_some("ns1");
        let (expected, version) = store.list(&maps(), namespace);
        after.iter().filter(|step| !matches!(step, Step::Compact)).for_each(|step| take(&store, step));
        let mut found: Vec<(Key, Arc<Value>)> = Vec::new();
        loop {
            let last = found.last().map(|(key, _)| key.clone());
            let after = last.as_ref().map(|key| (if namespaced { "" } else { &key.namespace }, key.name.as_str()));
            let page = store.page(&maps(), namespace, Some(version), &Part { after, limit, ..whole() }).unwrap();
            found.extend(page.objects);
            prop_assert_eq!(page.left, expected.len() - found.len());
            if page.left == 0 {
                break;
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_namespace_is_a_part_of_the_whole(history in steps()) {
        let store = store(1000);
        history.iter().for_each(|step| take(&store, step));
        let part = |namespace: &str| store.list(&maps(), Some(namespace)).0;
        let all = store.list(&maps(), None).0;
        prop_assert_eq!([part("ns0"), part("ns1")].concat(), all);
        prop_assert_eq!(part("ns"), vec![]);
    }
}

#[test]
fn a_dry_run_writes_nothing_and_a_full_store_refuses() {
    let store = Store::new(Limits {
        objects: 1,
        changes: 1,
    });
    let object = || json!({"metadata": {}});
    store.write(true, |tx| tx.put(&key(0), object())).unwrap();
    assert_eq!((store.version(), store.get(&key(0))), (1, None));
    take(&store, &Step::Put(0, 0));
    assert_eq!(
        store
            .write(false, |tx| tx.put(&key(1), object()))
            .unwrap_err()
            .code,
        500
    );
    store.write(true, |tx| Ok(tx.remove(&key(0)))).unwrap();
    assert!(store.get(&key(0)).is_some());
}

#[test]
fn a_subscriber_is_woken_by_a_change_of_its_collection_and_only_by_one() {
    let store = store(10);
    let mut head = store.subscribe(&maps());
    head.mark_unchanged();
    let elsewhere = Key {
        collection: Collection {
            group: String::new(),
            resource: "secrets".to_owned(),
        },
        ..key(0)
    };
    let object = json!({"metadata": {}});
    store.write(false, |tx| tx.put(&elsewhere, object)).unwrap();
    take(&store, &Step::Remove(0));
    assert!(!head.has_changed().unwrap());
    take(&store, &Step::Put(0, 0));
    assert!(head.has_changed().unwrap());
}

#[test]
fn only_who_has_missed_something_is_too_late() {
    let store = store(2);
    let since = store.version();
    let put = |resource: &str, number: u8| {
        let collection = Collection {
            group: String::new(),
            resource: resource.to_owned(),
        };
        let key = Key {
            collection,
            ..key(0)
        };
        let object = json!({"metadata": {}, "data": number});
        store.write(false, |tx| tx.put(&key, object)).unwrap();
    };
    (0..5).for_each(|number| put("secrets", number));
    // One that has read all there was of its own goes on; one that comes anew from then cannot be sure.
    let (changes, seen) = store.changes(&maps(), None, since, 10).unwrap();
    assert!(changes.is_empty());
    assert!(store.reaches_back(since).is_err());
    put("configmaps", 0);
    (5..9).for_each(|number| put("secrets", number));
    assert!(store.changes(&maps(), None, seen, 10).is_err());
}
