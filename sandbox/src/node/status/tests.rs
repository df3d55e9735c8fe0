use super::*;

fn container(name: &str) -> Container {
    Container::new(&json!({"name": name, "image": "i"}), "ContainerCreating")
}

fn running(name: &str) -> Container {
    let state = State::Running {
        since: "t".to_owned(),
        id: "x://1".to_owned(),
    };
    Container {
        state,
        ready: true,
        ..container(name)
    }
}

fn ended(name: &str, exit_code: i32) -> Container {
    let reason = if exit_code == 0 { "Completed" } else { "Error" }.to_owned();
    let (started_at, finished_at) = ("s".to_owned(), "f".to_owned());
    let ended = Ended {
        exit_code,
        reason,
        message: String::new(),
        started_at,
        finished_at,
        id: "x://1".to_owned(),
    };
    Container {
        state: State::Terminated(ended),
        done: true,
        ready: false,
        ..container(name)
    }
}

fn record(init: Vec<Container>, main: Vec<Container>) -> Record {
    Record {
        init,
        main,
        started_at: "t".to_owned(),
        pod_ip: "127.9.0.1".to_owned(),
        host_ip: "127.0.0.1".to_owned(),
        qos: "BestEffort",
        generation: 1.into(),
        transitions: BTreeMap::new(),
    }
}

fn succeeded(name: &str) -> Container {
    Container {
        ready: true,
        ..ended(name, 0)
    }
}

#[test]
fn the_phase_follows_the_containers() {
    let restarting = Container {
        done: false,
        ..ended("a", 1)
    };
    for (init, main, phase) in [
        (vec![], vec![container("a")], "Pending"),
        (vec![], vec![running("a"), container("b")], "Running"),
        (vec![], vec![restarting.clone()], "Running"),
        (vec![], vec![ended("a", 0), running("b")], "Running"),
        (vec![], vec![ended("a", 0), ended("b", 0)], "Succeeded"),
        (vec![], vec![ended("a", 0), ended("b", 3)], "Failed"),
        (vec![running("i")], vec![container("a")], "Pending"),
        (vec![restarting], vec![container("a")], "Pending"),
        (vec![ended("i", 2)], vec![container("a")], "Failed"),
        (vec![succeeded("i")], vec![running("a")], "Running"),
    ] {
        assert_eq!(record(init, main).phase(), phase);
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap()
}

#[test]
fn conditions_say_what_is_not_ready_and_since_when() {
    let mut record = record(vec![], vec![running("a"), running("b")]);
    let status = record.render("t1");
    assert_eq!(condition(&status, "Ready")["status"], "True");
    record.main[1].ready = false;
    record.render("t2");
    let status = record.render("t3");
    let ready = condition(&status, "Ready");
    assert_eq!(
        (
            &ready["status"],
            &ready["lastTransitionTime"],
            &ready["reason"],
            &ready["message"]
        ),
        (
            &json!("False"),
            &json!("t2"),
            &json!("ContainersNotReady"),
            &json!("containers with unready status: [b]")
        )
    );
    assert_eq!(
        condition(&status, "PodScheduled")["lastTransitionTime"],
        "t1"
    );
}

#[test]
fn quality_of_service() {
    let pod = |resources: Value| json!({"spec": {"containers": [{"resources": resources}]}});
    for (resources, class) in [
        (json!({}), "BestEffort"),
        (json!({"requests": {"cpu": "1"}}), "Burstable"),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}}),
            "Guaranteed",
        ),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}),
            "Burstable",
        ),
    ] {
        assert_eq!(qos(&pod(resources.clone())), class, "{resources}");
    }
}
