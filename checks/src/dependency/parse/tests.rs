use super::*;

fn parse(text: &str) -> Result<Vec<Dependency>, Vec<String>> {
    list("DEPENDENCIES", &[text.to_owned()])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn one(text: &str) -> Target {
    let mut all = parse(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0).target
}

fn at(namespace: Option<&str>, name: &str) -> Place {
    Place {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn service_of(namespace: Option<&str>, name: &str, port: Option<Port>, minimum: Minimum) -> Target {
    Target::Service {
        place: at(namespace, name),
        port,
        minimum,
    }
}

#[test]
fn services() {
    let named = |name: &str| Some(Port::Name(name.to_owned()));
    for (text, expected) in [
        ("redis", service_of(None, "redis", None, Minimum::ONE)),
        (
            "shop/redis",
            service_of(Some("shop"), "redis", None, Minimum::ONE),
        ),
        (
            "redis>=2",
            service_of(None, "redis", None, Minimum::Count(2)),
        ),
        ("service:db", service_of(None, "db", None, Minimum::ONE)),
        (
            "svc: shop/db",
            service_of(Some("shop"), "db", None, Minimum::ONE),
        ),
        (
            "service:db>=2",
            service_of(None, "db", None, Minimum::Count(2)),
        ),
        (
            "service:db >= 50%",
            service_of(None, "db", None, Minimum::Percent(50)),
        ),
        (
            "service:db:5432",
            service_of(None, "db", Some(Port::Number(5432)), Minimum::ONE),
        ),
        (
            "service:shop/db:sql>=3",
            service_of(Some("shop"), "db", named("sql"), Minimum::Count(3)),
        ),
        // A name that is also the word that marks what is optional.
        ("optional", service_of(None, "optional", None, Minimum::ONE)),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn workloads_jobs_and_claims() {
    for (text, kind, place, minimum) in [
        (
            "deployment:web",
            Workload::Deployment,
            at(None, "web"),
            Minimum::ONE,
        ),
        (
            "deploy:shop/web>=2",
            Workload::Deployment,
            at(Some("shop"), "web"),
            Minimum::Count(2),
        ),
        (
            "StatefulSet:db>=100%",
            Workload::StatefulSet,
            at(None, "db"),
            Minimum::Percent(100),
        ),
        (
            "daemonset:kube-system/cni",
            Workload::DaemonSet,
            at(Some("kube-system"), "cni"),
            Minimum::ONE,
        ),
    ] {
        assert_eq!(
            one(text),
            Target::Workload {
                kind,
                place,
                minimum
            },
            "{text}"
        );
    }
    assert_eq!(one("job:migrate"), Target::Job(at(None, "migrate")));
    assert_eq!(
        one("pvc:shop/data"),
        Target::Claim(at(Some("shop"), "data"))
    );
    assert_eq!(
        one("persistentvolumeclaim:data"),
        Target::Claim(at(None, "data"))
    );
}

#[test]
fn pods_by_selector() {
    for (text, namespace, selector, minimum) in [
        ("pod:app=web", None, "app=web", Minimum::ONE),
        (
            "pod:shop/app=web>=2",
            Some("shop"),
            "app=web",
            Minimum::Count(2),
        ),
        (
            "pod:app.kubernetes.io/name=web",
            None,
            "app.kubernetes.io/name=web",
            Minimum::ONE,
        ),
        (
            "pod:shop/app.kubernetes.io/name=web",
            Some("shop"),
            "app.kubernetes.io/name=web",
            Minimum::ONE,
        ),
        (
            "pod:tier in (front,back)",
            None,
            "tier in (front,back)",
            Minimum::ONE,
        ),
        (
            "pod:(app=web,tier=front)>=50%",
            None,
            "app=web,tier=front",
            Minimum::Percent(50),
        ),
        (
            "pod:shop/(app=web,tier in (front,back))",
            Some("shop"),
            "app=web,tier in (front,back)",
            Minimum::ONE,
        ),
    ] {
        let expected = Target::Pods {
            namespace: namespace.map(str::to_owned),
            selector: selector.parse().unwrap(),
            minimum,
        };
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn conditions_of_any_kind() {
    for (text, api_version, kind, place, condition, status) in [
        (
            "v1/Node:worker-1:Ready",
            "v1",
            "Node",
            at(None, "worker-1"),
            "Ready",
            "True",
        ),
        (
            "cert-manager.io/v1/Certificate:shop/web-tls:Ready",
            "cert-manager.io/v1",
            "Certificate",
            at(Some("shop"), "web-tls"),
            "Ready",
            "True",
        ),
        (
            "apps/v1beta2/Deployment:web:example.com/Degraded=false",
            "apps/v1beta2",
            "Deployment",
            at(None, "web"),
            "example.com/Degraded",
            "False",
        ),
    ] {
        let expected = Target::Condition {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            place,
            condition: condition.to_owned(),
            status: status.to_owned(),
        };
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn names_ports_and_urls() {
    let tcp = |host: &str, port| Target::Tcp {
        host: host.to_owned(),
        port,
    };
    for (text, expected) in [
        (
            "dns:db.example.com",
            Target::Dns("db.example.com".to_owned()),
        ),
        ("tcp:db:5432", tcp("db", 5432)),
        ("tcp://127.0.0.1:80", tcp("127.0.0.1", 80)),
        ("tcp:[::1]:80", tcp("::1", 80)),
        (
            "http://web",
            Target::Http(Url::parse("http://web/").unwrap()),
        ),
        (
            "HTTPS://web:8443/a?b=c:d>=1",
            Target::Http(Url::parse("https://web:8443/a?b=c:d>=1").unwrap()),
        ),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn lists_have_commas_or_lines_and_keep_their_order() {
    let names = |text: &str| -> Vec<String> {
        let all = parse(text).unwrap();
        all.iter()
            .map(|dependency| {
                dependency
                    .target
                    .subject("apps")
                    .map_or("-".to_owned(), |subject| subject.to_string())
            })
            .collect()
    };
    assert_eq!(
        names("database,redis"),
        ["service apps/database", "service apps/redis"]
    );
    assert_eq!(
        names(" shop/db ,\n pod:(a=b,c=d)\n\njob:x,"),
        ["service shop/db", "-", "job apps/x"]
    );
    // Twice the same is looked at once.
    assert_eq!(names("db,service:db"), ["service apps/db"]);
    assert_eq!(names(" , \n"), Vec::<String>::new());
}

#[test]
fn optional_ones_are_marked() {
    let all = parse("db,optional:redis,optional: tcp:mq:5672").unwrap();
    let optional: Vec<bool> = all.iter().map(|dependency| dependency.optional).collect();
    assert_eq!(optional, [false, true, true]);
}

#[test]
fn errors_name_variable_item_and_position() {
    for (text, expected) in [
        (
            "db,servce:web",
            "configuration: DEPENDENCIES=\"servce:web\": item 2: expected the name of a service, or service:, \
             deployment:, statefulset:, daemonset:, job:, pod:, pvc:, dns:, tcp:, http://, https:// or \
             GROUP/VERSION/KIND:",
        ),
        (
            "redis:6379",
            "configuration: DEPENDENCIES=\"redis:6379\": item 1: expected a kind before \":\"; for a port of a service \
             write service:redis:6379",
        ),
        (
            "db>2",
            "configuration: DEPENDENCIES=\"db>2\": item 1: expected a minimum as \">=\" and a number or percentage at \
             the end",
        ),
        (
            "db>=0",
            "configuration: DEPENDENCIES=\"db>=0\": item 1: expected a number from 1, or a percentage from 1% to 100%, \
             after \">=\"",
        ),
        (
            "job:x>=2",
            "configuration: DEPENDENCIES=\"job:x>=2\": item 1: expected job:[NAMESPACE/]NAME, without a minimum",
        ),
        (
            "pod:(a=b",
            "configuration: DEPENDENCIES=\"pod:(a=b\": expected as many closing as opening parentheses",
        ),
        (
            "http://user:secret@/x",
            "configuration: DEPENDENCIES=\"http://***@/x\": item 1: expected a URL, such as http://web/healthz: empty host",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), [expected], "{text}");
    }
}

#[test]
fn every_wrong_item_is_told() {
    let errors = parse("Db,ok,tcp:x,dns:1.2.3.4").unwrap_err();
    let positions: Vec<bool> = ["item 1", "item 3", "item 4"]
        .iter()
        .zip(&errors)
        .map(|(position, error)| error.contains(position))
        .collect();
    assert_eq!(positions, [true; 3], "{errors:?}");
}

#[test]
fn what_is_wrong_is_refused() {
    for text in [
        "service:",
        "service:/db",
        "service:shop/",
        "service:a/b/c",
        "service:Db",
        "service:db:0",
        "service:db:65536",
        "service:db:",
        "service:db:a_b",
        "service:db>=",
        "service:db>=101%",
        "service:db>=0%",
        "service:db>=-1",
        "service:db>=two",
        "service:db=2",
        "deployment:web:80",
        "deployment:web<2",
        "statefulset:a b",
        "job:",
        "pvc:a/b/c",
        "pod:",
        "pod:shop/",
        "pod:app=web=x",
        "pod:()",
        "dns:",
        "dns:a b",
        "dns:[::1]",
        "tcp:db",
        "tcp:db:0",
        "tcp:db:http",
        "tcp:::1:80",
        "tcp::80",
        "tcp:10.1:80",
        "tcp:0x7f000001:80",
        "http://",
        "https://:80",
        "http://a:99999",
        "shop/db:5432",
        "v1/Node:worker",
        "v1/Node:worker:",
        "1/Node:worker:Ready",
        "a/b/v1/Node:worker:Ready",
        "apps/v1/:web:Ready",
        "apps/v1/Deployment:web:Ready=Perhaps",
        "apps/v1/Deployment:web:Ready>=1",
        "optional:",
        "optional:optional:db",
        "ftp://x",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn entrypoint_names_have_a_colon_after_the_namespace() {
    let target = |place| Target::Service {
        place,
        port: None,
        minimum: Minimum::ONE,
    };
    let read = |text: &str| names("DEPENDENCY_SERVICE", &[text.to_owned()], target);
    let all = read("mysql:mariadb,keystone-api").unwrap();
    let subjects: Vec<String> = all
        .iter()
        .map(|dependency| dependency.target.subject("apps").unwrap().to_string())
        .collect();
    assert_eq!(
        subjects,
        ["service mysql/mariadb", "service apps/keystone-api"]
    );
    for text in [":a", "a:", "a:b:c", "a/b"] {
        let errors = read(text).unwrap_err();
        let start = format!(
            "configuration: DEPENDENCY_SERVICE=\"{text}\": item 1: expected NAME or NAMESPACE:NAME"
        );
        assert!(errors[0].to_string().starts_with(&start), "{errors:?}");
    }
}
