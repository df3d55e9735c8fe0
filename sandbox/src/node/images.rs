//! What stands in for container images: programs of this machine.

/// In arguments, `$(SANDBOX_POD_IP)` is the address of the pod: all pods share the network of this machine, so that a
/// program that would listen on every address has to be told its own.
pub(crate) const POD_IP: &str = "SANDBOX_POD_IP";

/// An image: what to run for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    entrypoint: Vec<String>,
    env: Vec<(String, String)>,
    missing: bool,
}

impl Image {
    /// An image whose entrypoint is this program with these first arguments, in which `$(SANDBOX_POD_IP)` stands for the
    /// address of the pod.
    #[must_use]
    pub fn program<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Image {
        Image {
            entrypoint: argv.into_iter().map(Into::into).collect(),
            ..Image::default()
        }
    }

    /// An image that cannot be pulled.
    #[must_use]
    pub fn missing() -> Image {
        Image {
            missing: true,
            ..Image::default()
        }
    }

    /// Adds a variable to the environment the image brings along.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Image {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// The images a node knows, by name.
///
/// A name is given without registry host, tag and digest, from any path segment on: `http-check` stands for
/// `docker.io/kuberhealthy/http-check:v3` as well; of several that fit, the longest counts. A container with a `command`
/// also runs when its image is unknown: that command of this machine then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images(Vec<(String, Image)>);

impl Images {
    /// Knows no image.
    #[must_use]
    pub fn new() -> Images {
        Images::default()
    }

    /// Adds an image, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, image: Image) -> Images {
        let name = name.into();
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, image));
        self
    }

    fn find(&self, reference: &str) -> Option<&Image> {
        let name = without_version(reference);
        let fits = |known: &str| {
            name.strip_suffix(known)
                .is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        let fitting = self.0.iter().filter(|(known, _)| fits(known));
        fitting
            .max_by_key(|(known, _)| known.len())
            .map(|(_, image)| image)
    }

    /// What to run for a container, and the environment of its image; `None` if the image cannot be pulled.
    ///
    /// As in Kubernetes, `command` takes the place of the entrypoint, and `args` follow.
    pub(crate) fn command(
        &self,
        reference: &str,
        command: &[String],
        args: &[String],
    ) -> Option<Command<'_>> {
        let image = self.find(reference);
        if image.is_some_and(|image| image.missing) {
            return None;
        }
        let mut argv = match (command, image) {
            ([], Some(image)) => image.entrypoint.clone(),
            ([], None) => return None,
            (command, _) => command.to_vec(),
        };
        argv.extend(args.iter().cloned());
        Some(Command {
            argv,
            env: image.map_or(&[], |image| &image.env),
        })
    }
}

/// What a container runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command<'a> {
    /// Program and arguments, before `$(VAR)` is replaced. Empty if the image has no entrypoint.
    pub(crate) argv: Vec<String>,
    /// Variables of the image.
    pub(crate) env: &'a [(String, String)],
}

/// `host:5000/a/b:tag@sha256:...` as `host:5000/a/b`.
fn without_version(reference: &str) -> &str {
    let name = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((front, tag)) if !tag.contains('/') => front,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_the_end_of_their_name() {
        let images = Images::new()
            .with("http-check", Image::program(["/bin/http", "-v"]))
            .with("other/http-check", Image::program(["/bin/other"]))
            .with("gone", Image::missing());
        let argv = |reference: &str| {
            images
                .command(reference, &[], &[])
                .map(|command| command.argv.join(" "))
        };
        for (reference, expected) in [
            ("http-check", Some("/bin/http -v")),
            ("kuberhealthy/http-check:v3", Some("/bin/http -v")),
            ("localhost:5000/http-check", Some("/bin/http -v")),
            ("docker.io/other/http-check@sha256:00", Some("/bin/other")),
            ("my-http-check", None),
            ("gone:1", None),
        ] {
            assert_eq!(argv(reference).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn commands_and_arguments_combine_as_in_kubernetes() {
        let images = Images::new()
            .with("known", Image::program(["/entry"]))
            .with("gone", Image::missing());
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        for (reference, command, args, expected) in [
            ("known", &[][..], &["a"][..], Some("/entry a")),
            ("known", &["/mine"], &["a"], Some("/mine a")),
            ("unknown", &["/mine"], &[], Some("/mine")),
            ("unknown", &[], &["a"], None),
            ("gone", &["/mine"], &[], None),
        ] {
            let found = images.command(reference, &texts(command), &texts(args));
            assert_eq!(
                found.map(|command| command.argv.join(" ")).as_deref(),
                expected,
                "{reference}"
            );
        }
    }
}
