//! What is the case, for metrics and readiness.

use super::Shared;
use super::kinds::Kind;
use super::world::in_flight;
use crate::metrics::{Gauges, PolicyGauges, WatchGauges};

impl Shared {
    pub(super) fn gauges(&self) -> Gauges {
        let storm = *self.storm();
        self.objects(|objects| {
            let under_way = objects.records.values().filter(|record| in_flight(record));
            Gauges {
                in_flight: u32::try_from(under_way.count()).unwrap_or(u32::MAX),
                storm,
                watches: Kind::ALL
                    .into_iter()
                    .map(|kind| WatchGauges {
                        kind: kind.plural(),
                        listed: objects.is_listed(kind),
                    })
                    .collect(),
                policies: objects
                    .policies
                    .values()
                    .map(|policy| PolicyGauges::of(&policy.object))
                    .collect(),
            }
        })
    }
}
