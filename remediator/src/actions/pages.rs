//! Lists, page by page and up to a bound.

use std::future::Future;

use kube::api::ListParams;
use kube::core::{ObjectList, Selector};

use super::limited;
use crate::core::execution::Refusal;

/// Objects asked for at a time.
const PAGE: u32 = 500;

/// The most objects of a list that are looked at; beyond that the target is not reasoned about.
pub(super) const MOST: usize = 5_000;

/// Why something was not read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// It may not or must not be read; asking again does not help soon.
    Refused(Refusal),
    /// It is to be asked for again.
    Failed(kube::Error),
}

impl From<kube::Error> for NotRead {
    fn from(error: kube::Error) -> NotRead {
        match error {
            // The server's message names verb and resource.
            kube::Error::Api(status) if status.code == 403 => {
                NotRead::Refused(super::answer::refusal(&status))
            }
            error => NotRead::Failed(error),
        }
    }
}

/// What `take` makes of the objects of a list that are selected. `fetch` gets one page; `what` names the objects.
pub(super) async fn all<K, T, F>(
    what: &str,
    selector: Option<&Selector>,
    fetch: impl Fn(ListParams) -> F,
    take: impl Fn(K) -> Option<T>,
) -> Result<Vec<T>, NotRead>
where
    K: Clone,
    F: Future<Output = Result<ObjectList<K>, kube::Error>>,
{
    let mut parameters = ListParams::default().limit(PAGE);
    if let Some(selector) = selector {
        parameters = parameters.labels_from(selector);
    }
    let (mut taken, mut seen) = (Vec::new(), 0_usize);
    loop {
        let page = limited(fetch(parameters.clone())).await?;
        seen = seen.saturating_add(page.items.len());
        let more = page.metadata.continue_.filter(|token| !token.is_empty());
        if seen > MOST || (seen == MOST && more.is_some()) {
            return Err(NotRead::Refused(too_many(what)));
        }
        taken.extend(page.items.into_iter().filter_map(&take));
        match more {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(taken),
        }
    }
}

fn too_many(what: &str) -> Refusal {
    Refusal {
        code: 413,
        reason: "RequestEntityTooLarge".to_owned(),
        message: format!(
            "expected at most {MOST} {what}, found more; nothing is done to such a target"
        ),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
    use kube::api::ListParams;
    use kube::core::{ObjectList, TypeMeta};

    use super::{MOST, NotRead, PAGE, all};

    /// A page of the numbers below `count`, whose token is where the next one begins.
    fn page(count: usize, parameters: &ListParams) -> ObjectList<usize> {
        assert_eq!(parameters.limit, Some(PAGE));
        let token = parameters.continue_token.as_deref();
        let begin: usize = token.map_or(0, |token| token.parse().unwrap());
        let end = (begin + usize::try_from(PAGE).unwrap()).min(count);
        ObjectList {
            types: TypeMeta::default(),
            metadata: ListMeta {
                // A server may send an empty one for none.
                continue_: Some(if end < count {
                    end.to_string()
                } else {
                    String::new()
                }),
                ..ListMeta::default()
            },
            items: (begin..end).collect(),
        }
    }

    async fn even(count: usize) -> Result<Vec<usize>, NotRead> {
        let fetch = |parameters: ListParams| async move { Ok(page(count, &parameters)) };
        all("things", None, fetch, |item: usize| {
            item.is_multiple_of(2).then_some(item)
        })
        .await
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_and_not_beyond_the_bound() {
        for count in [0, 1, 500, 501, 1499, MOST] {
            let expected: Vec<usize> = (0..count).step_by(2).collect();
            assert_eq!(even(count).await.unwrap(), expected, "{count}");
        }
        for count in [MOST + 1, MOST * 2] {
            let NotRead::Refused(refusal) = even(count).await.unwrap_err() else {
                panic!("{count} were asked for again");
            };
            assert_eq!(refusal.code, 413);
            assert!(
                refusal.message.contains("at most 5000 things"),
                "{refusal:?}"
            );
        }
    }
}
